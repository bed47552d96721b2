"""Where a number comes from: code, corpus, run, device; and whether that is still what lies here today."""

from __future__ import annotations

import functools
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from ferlib import config, paths

SHOWING = ("book", "cli", "export", "plots", "predict", "viewer")
"""Modules that show numbers and make none: a change in them makes a page stale, not a number."""

RUN_FILES = ("run.json", "predictions.parquet", "weights.safetensors")


@functools.cache
def commit() -> dict[str, Any]:
    """``{"commit": short hash or None, "dirty": whether code or book differ from it}`` of the checkout."""
    root = paths.package().parent
    head = _git(root, "rev-parse", "--short=10", "HEAD")
    changed = _git(root, "status", "--porcelain", "--", "ferlib", "book")
    return {"commit": head or None, "dirty": bool(changed)}


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def modules_in_use() -> dict[str, str]:
    """Digest of each ``ferlib`` source file that this process has imported, by its dotted name."""
    found = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.split(".")[0] == "ferlib" and file:
            dotted = Path(file).relative_to(paths.package()).with_suffix("").as_posix().replace("/", ".")
            found[dotted] = config.code_digest([dotted])
    return dict(sorted(found.items()))


def corpus_digest(name: str) -> str | None:
    """The digest in the manifest of the prepared corpus ``name``; None where it is not there."""
    return _manifest(name).get("digest")


def corpus_size(name: str) -> int | None:
    """How many images the prepared corpus ``name`` holds; None where it is not there."""
    return _manifest(name).get("n_images")


def _manifest(name: str) -> dict[str, Any]:
    try:
        return json.loads((paths.corpus(name) / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def run_digest(key: str) -> str | None:
    """Digest of the files of the run ``key``; None where one of them is missing."""
    seen = hashlib.sha256()
    try:
        for name in RUN_FILES:
            seen.update((paths.run(key) / name).read_bytes())
    except OSError:
        return None
    return seen.hexdigest()[:16]


def changes(inputs: dict[str, Any]) -> list[str]:
    """What a result stands on that is no longer the same: names of modules, corpora and runs."""
    changed = [
        f"module {name}" for name, digest in inputs["modules"].items() if _module_digest(name) != digest
    ]
    changed += [f"corpus {n}" for n, told in inputs["corpora"].items() if corpus_digest(n) != told["digest"]]
    changed += [f"run {key}" for key, told in inputs["runs"].items() if run_digest(key) != told["digest"]]
    return changed


def _module_digest(name: str) -> str | None:
    try:
        return config.code_digest([name])
    except OSError:
        return None


def sentence(result: dict[str, Any]) -> str:
    """One line of a result's provenance, for the end of a page."""
    told, corpora = result["provenance"], result["inputs"]["corpora"]
    faces = ", ".join(
        f"{name} ({'drawn' if corpus['synthetic'] else 'photographs'}, digest {corpus['digest'][:8]})"
        for name, corpus in corpora.items()
    )
    seeds = sorted({run["seed"] for run in result["inputs"]["runs"].values() if run.get("seed") is not None})
    parts = [
        f"ferlib {told['version']}",
        f"commit {told['commit']}" + (" with local changes" if told["dirty"] else ""),
        faces,
        f"device {told['device']}",
        f"seeds {', '.join(map(str, seeds))}" if seeds else "",
        f"{told['seconds']:.0f} s",
        told["date"][:10],
    ]
    return " · ".join(part for part in parts if part)


def numbers_of_record(chapter: str, book: Path | None = None) -> pd.DataFrame:
    """The committed numbers of ``chapter``, one row a number.

    They lie in ``book/results/<corpus>/<profile>/<chapter>*.json``.

    ``stale`` is True where the code, or a corpus that lies here, differs from what the number was made with.
    Empty where nothing is committed.
    """
    rows = []
    for file in sorted((book or paths.checkout() / "book").glob(f"results/*/*/{chapter}*.json")):
        if file.stem.partition("-")[0] != chapter:
            continue
        content = json.loads(file.read_text(encoding="utf-8"))
        told, profile = content["provenance"], file.parent.name
        origin = {
            "file": str(file),
            "recipe": content["parameters"].get("recipe"),
            "corpus": file.parent.parent.name,
            "profile": profile,
            "device": told["device"],
            "synthetic": told["synthetic"],
        }
        origin |= {"seconds": told["training_seconds"], "commit": told["commit"], "date": told["date"][:10]}
        stale = is_stale(content["inputs"])
        rows += [{**row, **origin, "stale": stale} for row in content["results"]]
    return pd.DataFrame(rows)


def of_record(chapter: str, book: Path | None = None) -> pd.DataFrame:
    """The first number of each committed result of ``chapter`` that has an interval, as a page shows it."""
    numbers = numbers_of_record(chapter, book)
    if numbers.empty:
        return pd.DataFrame(
            columns=["corpus", "recipe", "result", "95 % interval", "measured on", "device", "commit"]
        )
    main = numbers.dropna(subset="low").drop_duplicates("file")
    interval = main["low"].map("{:.1%}".format) + " to " + main["high"].map("{:.1%}".format)
    shown = {
        "corpus": main["corpus"],
        "recipe": main["recipe"],
        "result": main["key"] + " " + main["value"].map("{:.1%}".format),
        "95 % interval": interval,
        "measured on": main["split"],
        "device": main["device"],
        "commit": main["commit"] + main["stale"].map({True: " (stale)", False: ""}),
    }
    return pd.DataFrame(shown).set_index("corpus").rename_axis(None)


def is_stale(inputs: dict[str, Any]) -> bool:
    """Whether code or corpora changed since.

    A corpus that does not lie here, or only in another size, proves nothing.
    """
    moved = [
        name
        for name, told in inputs["corpora"].items()
        if corpus_digest(name) not in (None, told["digest"])
        and told.get("n_images") in (None, corpus_size(name))
    ]
    making = {n: digest for n, digest in inputs["modules"].items() if n.split(".")[0] not in SHOWING}
    return bool(moved) or any(_module_digest(name) != digest for name, digest in making.items())
