"""What lies in the home and how large it is: what `ferlib corpus list` and `ferlib home` print."""

from __future__ import annotations

from pathlib import Path

from ferlib import keep, paths
from ferlib.config import DataError
from ferlib.datasets.about import ABOUT
from ferlib.datasets.drawn import outdated
from ferlib.datasets.store import is_prepared, read_manifest
from ferlib.labels import CORPORA, DRAWN_PREFIX


def corpora() -> str:
    """One line a corpus: name, images and people where it is prepared, else how to get it."""
    found = (
        {p.name for p in paths.corpora().glob("*") if is_prepared(p.name)}
        if paths.corpora().is_dir()
        else set()
    )
    names = [name for plain in CORPORA for name in (plain, DRAWN_PREFIX + plain)]
    names += sorted(found - set(names))
    return _columns(
        [("corpus", "images", "people", "size", "what it is, or how to get it"), *map(_corpus_line, names)]
    )


def _corpus_line(name: str) -> tuple[str, ...]:
    plain = name.removeprefix(DRAWN_PREFIX)
    if not is_prepared(name):
        how = (
            f"ferlib corpus make {plain}"
            if name != plain
            else f"{ABOUT[plain].licence}; {ABOUT[plain].apply_at}"
        )
        return name, "-", "-", "-", how
    try:
        manifest = read_manifest(name)
    except DataError as error:
        return name, "?", "?", "?", f"damaged: {error}"
    people = manifest["n_subjects"] or "unknown"
    size = f"{manifest['width_px']} x {manifest['height_px']}"
    return (
        name,
        f"{manifest['n_images']:,}",
        str(people),
        size,
        f"prepared {manifest['date'][:10]} from {manifest['source']}"
        + ("; drawn by another version of the rig" if outdated(manifest) else ""),
    )


def home() -> str:
    """One line a store, drawn tree, run and its features, with its size in megabytes; the sum; what to draw again."""
    rows: list[tuple[str, ...]] = [("megabytes", "folder")]
    total = 0
    for group in (paths.corpora(), paths.home() / "drawn", paths.runs(), paths.features(), paths.transfer()):
        for folder in sorted(group.iterdir()) if group.is_dir() else []:
            size = size_bytes(folder)
            total += size
            if size and not folder.name.endswith(".lock"):
                rows.append((f"{size / 1e6:,.1f}", str(folder)))
    rows.append((f"{total / 1e6:,.1f}", f"{paths.home()} (FERLIB_HOME changes it)"))
    return "\n".join([_columns(rows), *_outdated()])


def _outdated() -> list[str]:
    """A sentence for each store that another version of the rig drew."""
    names = sorted(p.name for p in paths.corpora().glob(f"{DRAWN_PREFIX}*") if is_prepared(p.name))
    notices = (outdated(read_manifest(name)) for name in names)
    return [notice for notice in notices if notice]


def size_bytes(place: Path) -> int:
    """Bytes of a file or of all files in a folder; links are not followed."""
    if place.is_file() or place.is_symlink():
        return place.lstat().st_size
    return sum(file.lstat().st_size for file in place.rglob("*") if file.is_symlink() or file.is_file())


def prune() -> str:
    """Remove what killed writers of stores and drawn trees left behind, unless one is at work; says what."""
    import filelock

    lines = []
    for group in (paths.corpora(), paths.home() / "drawn"):
        names = {p.name[1:].split(".")[0] for p in group.glob(".*")} if group.is_dir() else set()
        for name in sorted(names):
            place = group / name
            try:
                with filelock.FileLock(keep.lock_of(place), timeout=0):
                    lines += [f"removed {left}" for left in keep.tidy(place)]
            except filelock.Timeout:
                lines.append(f"left alone: {place} is being written")
    return "\n".join(lines) or "Nothing to prune."


def _columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of text as left-aligned columns."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows
    )
