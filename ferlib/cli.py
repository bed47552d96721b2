"""The `ferlib` command.  Each command is thin: it parses, calls one function of the package, prints.

Heavy modules are imported inside the commands, so that `--help` and the corpus commands never import torch.
"""

from __future__ import annotations

import signal
import sys
from functools import partial
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
    profile: Annotated[str, typer.Option(help="tiny, quick, full or paper.")] = "quick",
    corpus: Annotated[str | None, typer.Option(help="The corpus, for the chapters that can use it.")] = None,
    parameter: Annotated[
        list[str] | None, typer.Option("-p", help="chapter.name=value; see `ferlib book params`.")
    ] = None,
    grid: Annotated[
        list[str] | None, typer.Option(help="chapter.name=a,b,...: a sweep, summed up on a page of its own.")
    ] = None,
    only: Annotated[str | None, typer.Option(help="Execute this chapter alone.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of pages, results and logs.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Chapters executed at the same time.")] = 1,
    scheduler: Annotated[str, typer.Option(help="Address of a Dask scheduler, for --grid.")] = "",
) -> None:
    """Execute the chapters where something changed, and render the pages."""
    from ferlib import paths
    from ferlib.book import build, chapters

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = paths.checkout()
    wish = chapters.Wish(profile, corpus, tuple(parameter or ()), only)
    layout = build.Layout(root, (out or root).absolute())
    if scheduler and not grid:
        raise UsageError("--scheduler works with --grid, whose points it executes")
    try:
        if grid:
            from ferlib.book import grid as sweeps

            page = sweeps.run(layout, wish, grid, jobs, scheduler)
        else:
            page = build.build(layout, wish, jobs)
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


@book_app.command("pdf")
def book_pdf(
    out: Annotated[Path | None, typer.Option(help="The --out of a build; the checkout without.")] = None,
) -> None:
    """Print the rendered pages to one PDF, with Chromium."""
    from ferlib import paths
    from ferlib.book import build, pdf

    root = paths.checkout()
    layout = build.Layout(root, (out or root).absolute())
    print(f"Open {pdf.write(layout.book, layout.html, layout.build / 'book.pdf')}")


@book_app.command("compare")
def book_compare(
    a: Annotated[Path, typer.Argument(help="A result, a folder of results, or the --out of a build.")],
    b: Annotated[Path, typer.Argument(help="Another.")],
    page: Annotated[Path, typer.Option(help="The page to write.")] = Path("comparison.html"),
) -> None:
    """Two results side by side: parameters that differ, and numbers with their intervals."""
    from ferlib.book import compare

    compared = compare.compare(a, b)
    print(compare.text(compared))
    print(f"Open {compare.page(compared, page.absolute())}")


@book_app.command("keep")
def book_keep(
    source: Annotated[Path | None, typer.Argument(help="The --out of a build; the checkout without.")] = None,
    only: Annotated[str | None, typer.Option(help="Keep this chapter alone.")] = None,
) -> None:
    """Keep the results of a build as numbers of record, in book/results."""
    from ferlib import paths
    from ferlib.book import keep

    root = paths.checkout()
    for place in keep.keep(source or root, root / "book", only):
        print(place)


@corpus_app.command("list")
def corpus_list() -> None:
    """Which corpora there are, which are prepared, and where to apply for the others."""
    from ferlib.datasets import listing

    print(listing.corpora())


@corpus_app.command("make")
def corpus_make(
    name: Annotated[str, typer.Argument(help="A corpus, or all.")],
    size: Annotated[str, typer.Option(help="quick or full.")] = "quick",
    subjects: Annotated[int | None, typer.Option(help="How many people.")] = None,
    images: Annotated[int | None, typer.Option(help="How many images.")] = None,
    seed: Annotated[int, typer.Option(help="Of every random choice.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Only write the native layout into this folder.")] = None,
) -> None:
    """Draw a corpus in its native layout; without --out also prepare it, as synthetic-NAME."""
    from ferlib import datasets, jobs

    names = list(datasets.writers()) if name == "all" else [name]
    draw = partial(
        _drawn, size=size, subjects=subjects, images=images, seed=seed, out=out, all_=name == "all"
    )
    for place in jobs.run(draw, names, n_jobs=jobs.cores(), what="corpora"):
        print(place)


def _drawn(name: str, *, size: str, subjects: int | None, images: int | None, seed: int, out: Path | None,
           all_: bool) -> Path:  # fmt: skip
    """Draw one corpus, and store it where no folder ``out`` is given; a worker draws in its own process alone."""
    from ferlib import datasets

    into = out / name if out is not None and all_ else out
    tree = datasets.make(name, size, subjects, images, seed, into)
    return datasets.prepare(name, tree)[0] if out is None and name in datasets.READERS else tree


@corpus_app.command("check")
def corpus_check(
    name: Annotated[str, typer.Argument(help="A corpus, as `ferlib corpus list` names it.")],
    path: Annotated[Path | None, typer.Argument(help="Its native layout; by default the home's.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 on notices too.")] = False,
    votes: Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv.")] = None,
) -> None:
    """List everything that is wrong with a corpus, with file, line and reason."""
    from ferlib import datasets

    given = _given(votes=votes)
    reports = datasets.check_home(name) if path is None else [datasets.check(name, path, **given)]
    for report in reports:
        print(report.text())
    raise typer.Exit(max(report.exit_code(strict) for report in reports))


@corpus_app.command("prepare")
def corpus_prepare(
    name: Annotated[str, typer.Argument(help="A corpus, as `ferlib corpus list` names it.")],
    source: Annotated[Path, typer.Option(help="Your copy, in its native layout.")],
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out what is bad, and list it.")] = False,
    votes: Annotated[Path | None, typer.Option(help="FER+'s fer2013new.csv.")] = None,
) -> None:
    """Read a corpus in its native layout and store it, whole or not at all."""
    from ferlib import datasets

    place, report = datasets.prepare(name, source, skip_bad, **_given(votes=votes))
    print(report.text(limit=10))
    if report.problems:
        print(f"Left out: {place / 'left_out.csv'}")
    print(place)


def _given(**options: Path | None) -> dict[str, Path]:
    """The options that were given: a corpus that does not know one says so."""
    return {name: value for name, value in options.items() if value is not None}


@app.command("home")
def home_command(
    prune: Annotated[bool, typer.Option("--prune", help="Remove what killed processes left behind.")] = False,
) -> None:
    """What lies where, and how large it is."""
    from ferlib.datasets import listing

    if prune:
        print(listing.prune())
    print(listing.home())


SETTINGS = (
    "corpus protocol fold labels duplicates size recipe width dropout n_epochs batch_size lr patience seed "
    "threads device stream workers"
)
"""The fields of ``ferlib.recipes.TrainConfig``, written out since that module loads torch."""


@app.command(
    "train",
    epilog="Example:  ferlib train --corpus synthetic-fer2013 --set recipe=fast --set n_epochs=4",
)
def train(
    corpus: Annotated[str, typer.Option(help="A prepared corpus.")] = "fer2013",
    profile: Annotated[
        str | None, typer.Option(help="Chapter 1's settings: tiny, quick, full or paper.")
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help=f"field=value; fields: {SETTINGS.replace(' ', ', ')}.")
    ] = None,
) -> None:
    """Find or make the runs, and print their keys and estimates."""
    from ferlib import paths, training
    from ferlib.book import chapters

    given = {}
    if profile:
        # the quick profile is the chapter's own defaults; a bare image has no papermill to read them from the chapter
        named = [chapters.profile(paths.checkout() / "book", name) for name in ("quick", profile)]
        given = {k: v for each in named for k, v in (each.chapters.get("training") or {}).items()}
    for wish in training.wishes(given, corpus, setting or []):
        print(training.card(training.ensure(wish)))


@app.command("predict")
def predict_command(
    places: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    run: Annotated[str | None, typer.Option(help="Key of a trained run; the newest without.")] = None,
    whole: Annotated[bool, typer.Option("--whole", help="The pictures are faces, cropped already.")] = False,
    csv: Annotated[Path | None, typer.Option(help="Also write the table into this file.")] = None,
) -> None:
    """Name the expressions in your own pictures; a picture without a face is told as such."""
    from ferlib import paths, predict, runs

    files = predict.pictures(places)
    with_run = runs.find(run) if run else predict.newest()
    table = predict.predict(with_run, files, whole)
    print(f"run {with_run.key}: what people would call the picture, not what anybody feels", file=sys.stderr)
    print(table.dropna(axis=1, how="all").to_string(index=False, float_format="{:.2f}".format, na_rep=""))
    if csv:
        paths.write_whole(csv, lambda file: table.to_csv(file, index=False))


@app.command("inspect")
def inspect_command(
    run: Annotated[str | None, typer.Argument(help="Key of a trained run; lists them without.")] = None,
    page: Annotated[Path | None, typer.Option(help="Also write a page with its figures.")] = None,
) -> None:
    """What a run is, how it learned and how good it is."""
    from ferlib import runs

    if run is None:
        print("\n".join(one.key for one in runs.all()) or "No trained run here.")
        return
    from ferlib import training
    from ferlib.book import run_page

    found = runs.find(run)
    print(training.card(found))
    print(run_page.recalls(found).to_string(float_format="{:.3f}".format))
    if page:
        print(f"Open {run_page.write(found, page.absolute())}")


@app.command("export")
def export_command(
    run: Annotated[str, typer.Argument(help="Key of a trained run.")],
    out: Annotated[Path, typer.Option(help="Folder of the files.")],
) -> None:
    """Write a run for use elsewhere: safetensors, ONNX and a model card."""
    from ferlib import export, runs

    for file in export.export(runs.find(run), out):
        print(file)


@app.command("bench")
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Some; all without.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Also write what was measured into this file.")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="The shorter way, where a benchmark has one.")
    ] = False,
) -> None:
    """Measure what the package promises; exit 1 where a limit is broken.  Wants an idle machine."""
    from ferlib import paths
    from ferlib.book import performance

    measured = performance.run(names or [], quick)
    if keep:
        keep.parent.mkdir(parents=True, exist_ok=True)
        paths.write_json(keep, measured)
    raise typer.Exit(1 if any(one["broken"] for one in measured["benchmarks"]) else 0)


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
