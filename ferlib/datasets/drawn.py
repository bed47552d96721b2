"""Draw a corpus with the rig where its store is wanted and missing."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ferlib import paths
from ferlib.config import DataError, UsageError, check_name, code_digest
from ferlib.datasets.base import FaceSet
from ferlib.datasets.native import DRAWN
from ferlib.keep import replacing
from ferlib.labels import DRAWN_PREFIX, FER2013_CODES

SIZES: dict[str, dict[str, dict[str, int]]] = {
    "fer2013": {"quick": {"n_images": 6000}, "full": {"n_images": 35_887}},
}
"""What ``--size`` means for each corpus, in the parameters of its writer."""


def writers() -> dict[str, Callable[..., Path]]:
    """Corpus name -> function of the rig that writes its native layout: ``write_<name>(out, ..., seed)``."""
    from ferlib.synthetic.native import WRITERS
    from ferlib.synthetic.writers import write_fer2013

    return {"fer2013": write_fer2013, **WRITERS}


def make(
    name: str,
    size: str = "quick",
    n_subjects: int | None = None,
    n_images: int | None = None,
    seed: int = 0,
    out: Path | None = None,
) -> Path:
    """Draw the native layout of corpus ``name``; returns its folder, which bears a ``DRAWN.json``.

    size : ``quick`` or ``full``; n_subjects and n_images replace its numbers where the corpus has such.
    out : the folder, new, empty or drawn before; by default ``paths.drawn(name)``.

    Raises ``UsageError`` for names, sizes and scales that do not exist, ``DataError`` where ``out`` holds
    something that was not drawn.
    """
    known = writers()
    name = check_name("corpus that the rig draws", name.removeprefix(DRAWN_PREFIX), known)
    check_name("size", size, ("quick", "full"))
    takes = inspect.signature(known[name]).parameters
    scale: dict[str, object] = dict(SIZES.get(name, {}).get(size, {}))
    if "size" in takes:
        scale["size"] = size
    for option, value in (("n_subjects", n_subjects), ("n_images", n_images)):
        if value is None:
            continue
        if option not in takes:
            raise UsageError(f"--{option[2:]} means nothing for {name}; it takes {', '.join(takes)}")
        if value < 1:
            raise UsageError(f"--{option[2:]} {value}: at least 1")
        scale[option] = value
    out = paths.drawn(name) if out is None else out.absolute()
    if out.is_dir() and any(out.iterdir()) and not (out / DRAWN).is_file():
        raise DataError(f"{out} holds something that was not drawn. Give a new folder:  --out DIR")
    with replacing(out) as fresh:
        written = known[name](fresh / "tree", seed=seed, **scale)  # a writer makes its own new folder
        for child in list(written.iterdir()):
            child.rename(fresh / child.name)
        written.rmdir()
        if not (fresh / DRAWN).is_file():
            raise DataError(f"The writer of {name} left no {DRAWN}; nothing was kept")
        given = {"size": size, "subjects": n_subjects, "images": n_images, "seed": seed or None}
        command = [f"ferlib corpus make {name}", *(f"--{k} {v}" for k, v in given.items() if v is not None)]
        _complete(fresh / DRAWN, {"rig": rig_digest(), "command": " ".join(command)})
    return out


def truth_of(faces: FaceSet) -> pd.DataFrame | None:
    """What the rig knows of each of the N faces, in their order; indexed by ``image``.

    None for photographs, and where the native tree with its truth is not in the home.  Raises ``DataError`` where
    it lacks a face.
    """
    plain = faces.corpus.removeprefix(DRAWN_PREFIX)
    file = paths.drawn(plain) / "truth.parquet"
    if not faces.synthetic or not file.is_file():
        return None
    truth = pd.read_parquet(file)
    if "image" not in truth:  # FER2013 has rows, and codes
        truth["image"] = truth["row"].map("fer{:07d}.png".format)
        truth["emotion"] = np.array(FER2013_CODES)[truth["emotion"]]
    if not faces.table["image"].isin(truth["image"]).all():
        raise DataError(f"{file} is of other faces. Draw the corpus again:  ferlib corpus make {plain}")
    return truth.set_index("image").loc[faces.table["image"]]


def rig_digest() -> str:
    """Digest of the code that draws: the same code, settings and seed draw the same faces."""
    return code_digest(("synthetic",))


def _complete(mark: Path, facts: dict[str, Any]) -> None:
    """Add ``facts`` to a ``DRAWN.json``."""
    content = json.loads(mark.read_text(encoding="utf-8")) | facts
    mark.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def outdated(manifest: dict[str, Any]) -> str | None:
    """What to say of a store that another version of the rig drew, and the command that draws it again; else None."""
    drawn = manifest.get("drawn")
    if drawn is None or drawn.get("rig") == rig_digest():
        return None
    plain = manifest["name"].removeprefix(DRAWN_PREFIX)
    command = drawn.get("command", f"ferlib corpus make {plain}")
    return f"{manifest['name']} was drawn by another version of the rig. Draw it again:  {command}"
