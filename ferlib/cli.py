"""The `ferlib` command.  Each command is thin: it parses, calls one function of the package, prints.

Heavy modules are imported inside the commands, so that `--help` and the corpus commands never import torch.
"""

from __future__ import annotations

import sys

import typer

from ferlib.config import DataError, UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="The machinery of the facial-expression book.")  # fmt: skip
corpus_app = typer.Typer(no_args_is_help=True, help="List, draw, check and prepare corpora of faces.")
book_app = typer.Typer(no_args_is_help=True, help="Build the book, list its parameters, compare its results.")
app.add_typer(corpus_app, name="corpus")
app.add_typer(book_app, name="book")


def main() -> None:
    """Run the command line.  Exit codes: 0 done, 1 the data or result is bad, 2 the call is wrong."""
    try:
        app()
    except UsageError as error:
        print(f"ferlib: {error}", file=sys.stderr)
        sys.exit(2)
    except DataError as error:
        print(f"ferlib: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
