"""The only module that knows where things lie, and how a file gets there whole.

Faces, stores and runs live outside the checkout, under ``$FERLIB_HOME``
(by default the platform's user cache folder, for example ``~/.cache/ferlib``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def home() -> Path:
    """The folder of corpora and runs.  Reads ``$FERLIB_HOME`` at every call; creates nothing."""
    chosen = os.environ.get("FERLIB_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    import platformdirs  # a bare GPU image lacks it and sets FERLIB_HOME instead

    return Path(platformdirs.user_cache_dir("ferlib"))


def corpora() -> Path:
    """Folder of the prepared corpora, one store each."""
    return home() / "corpora"


def corpus(name: str) -> Path:
    """Folder of the store of corpus ``name``: ``images.npy``, ``table.parquet``, ``manifest.json``."""
    return corpora() / name


def drawn(name: str) -> Path:
    """Folder where the rig writes the native layout of the drawn corpus ``name``."""
    return home() / "drawn" / name


def runs() -> Path:
    """Folder of the trained runs, one folder a key."""
    return home() / "runs"


def run(key: str) -> Path:
    """Folder of the run ``key``: ``run.json``, ``weights.safetensors``, ``history.csv``, ``predictions.parquet``."""
    return runs() / key


def features() -> Path:
    """Folder of the features of frozen networks: a folder a run, in it one a layer and set of faces."""
    return home() / "features"


def transfer() -> Path:
    """Folder of what networks answered on other corpora: one file a unit of work."""
    return home() / "transfer"


def package() -> Path:
    """Folder of the installed package's sources."""
    return Path(__file__).resolve().parent


def checkout() -> Path:
    """The folder that holds ``book/``: the repository this package was installed from in place.

    Raises ``FileNotFoundError`` when ferlib was installed without its book; ``git clone`` then ``make book`` helps.
    """
    for folder in (Path.cwd(), *Path.cwd().parents, package().parent):
        if (folder / "book" / "_toc.yml").is_file() and (folder / "_config.yml").is_file():
            return folder
    raise FileNotFoundError(
        "No book here: neither the current folder nor the package's own holds book/_toc.yml. "
        "Run inside a clone of the repository:  cd <clone> && ferlib book build"
    )


def write_whole(path: Path, write: Callable[[Path], Any]) -> None:
    """Let ``write`` fill a file beside ``path``, then rename it: readers see the old file or the new one."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(fresh)
        with fresh.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def write_open(path: Path, write: Callable[[BinaryIO], Any]) -> None:
    """:func:`write_whole` for what wants an open file: NumPy adds a suffix to names."""

    def fill(fresh: Path) -> None:
        with fresh.open("wb") as opened:
            write(opened)

    write_whole(path, fill)


def write_json(path: Path, record: dict[str, Any], **options: Any) -> None:
    """``record`` as JSON that people can read; ``options`` are those of ``json.dumps``."""
    text = json.dumps(record, indent=1, **options) + "\n"
    write_whole(path, lambda file: file.write_text(text, encoding="utf-8"))
