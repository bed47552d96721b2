"""The `ferlib` command.  Each command is thin: it parses, calls one function of the package, prints.

Heavy modules are imported inside the commands, so that `--help` and the corpus commands never import torch.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from ferlib.config import DataError, UsageError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
                  help="The machinery of the facial-expression book.")  # fmt: skip
corpus_app = typer.Typer(no_args_is_help=True, help="List, draw, check and prepare corpora of faces.")
book_app = typer.Typer(no_args_is_help=True, help="Build the book, list its parameters, compare its results.")
app.add_typer(corpus_app, name="corpus")
app.add_typer(book_app, name="book")


@book_app.command("build")
def book_build(
    profile: Annotated[str, typer.Option(help="tiny, quick or paper.")] = "quick",
    corpus: Annotated[str | None, typer.Option(help="The corpus, for the chapters that can use it.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="chapter.name=value; see `ferlib book params`.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Execute this chapter alone.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of pages, results and logs.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Chapters executed at the same time.")] = 1,
) -> None:
    """Execute the chapters where something changed, and render the pages."""
    from ferlib import paths
    from ferlib.book import build, chapters

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = paths.checkout()
    wish = chapters.Wish(profile, corpus, tuple(parameter or ()), only)
    try:
        page = build.build(build.Layout(root, (out or root).absolute()), wish, jobs)
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        raise typer.Exit(130) from None
    print(f"Open {page}")


@book_app.command("params")
def book_params(chapter: Annotated[str | None, typer.Argument(help="One; all without.")] = None) -> None:
    """Every parameter of the chapters: name, type, default, meaning."""
    from ferlib import paths
    from ferlib.book import chapters

    print(chapters.listing(paths.checkout() / "book", chapter))


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
