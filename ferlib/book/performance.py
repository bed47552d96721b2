"""Benchmarks run and kept with the machine they ran on, and the page that shows them."""

from __future__ import annotations

import ast
import datetime
import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ferlib
from ferlib import paths
from ferlib.book import provenance
from ferlib.config import check_name

ARGUMENTS = {"rig": ("speed",)}
"""Of benchmarks that want to be told what to measure."""
FOLDER = re.compile(r"(?<!\S)/(?:[^\s/]+/)+")
"""The folder of a file that a benchmark names, which is of one machine and often of one minute."""


def benchmarks() -> dict[str, Path]:
    """Name -> file of each benchmark."""
    return {f.stem[6:]: f for f in sorted((paths.checkout() / "tests/benchmarks").glob("bench_*.py"))}


def run(names: Iterable[str], quick: bool = False) -> dict[str, Any]:
    """Run benchmarks, showing what they print.  Returns what :func:`page` reads.  Wants an idle machine.

    quick : those that have a shorter way run it.
    """
    files = benchmarks()
    for name in (names := list(names) or list(files)):
        check_name("benchmark", name, files)
    machine = {"ferlib": ferlib.__version__, **provenance.commit(), **_machine()}
    return {**machine, "quick": quick, "benchmarks": [_run(name, files[name], quick) for name in names]}


def _run(name: str, file: Path, quick: bool) -> dict[str, Any]:
    print(f"== {name}", flush=True)
    began, lines = time.monotonic(), []
    shorter = ["--quick"] if quick and '"--quick"' in file.read_text(encoding="utf-8") else []
    process = subprocess.Popen(
        [sys.executable, str(file), *ARGUMENTS.get(name, ()), *shorter], stdout=subprocess.PIPE, text=True
    )
    for line in process.stdout or ():
        print(line, end="", flush=True)
        lines.append(line.rstrip())
    code = process.wait()
    return {"name": name, "lines": lines, "broken": code != 0, "seconds": round(time.monotonic() - began, 1)}


def _machine() -> dict[str, Any]:
    import torch

    from ferlib import devices

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else devices.processor()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    return {"device": device, "torch": torch.__version__, "date": date}


def page(book: Path) -> str:
    """The kept benchmarks, newest first, in MyST markdown."""
    kept = [json.loads(f.read_text(encoding="utf-8")) for f in (book / "results/benchmarks").glob("*.json")]
    if not kept:
        return "No benchmark has been kept yet."
    newest = sorted(kept, key=lambda told: (told["date"], told["device"]), reverse=True)
    of_machines = itertools.groupby(newest, key=lambda told: told["device"])
    return "\n\n".join(f"## {name}\n\n" + "\n\n".join(map(_told, of)) for name, of in of_machines)


def _told(told: dict[str, Any]) -> str:
    about = f"ferlib {told['ferlib']}, commit {told['commit']}, torch {told['torch']}, {told['date']}"
    about += ", each the shorter way where it has one" if told.get("quick") else ""
    parts = [f"{about}:"]
    for one in told["benchmarks"]:
        limit = "A limit is broken." if one["broken"] else "Every limit is kept."
        shown = FOLDER.sub("", "\n".join(one["lines"]))
        what, how = _meaning(one["name"])
        parts.append(f"### {one['name']}\n\n{what} {limit}\n\n{how}\n\n```text\n{shown}\n```")
    return "\n\n".join(parts)


def _meaning(name: str) -> tuple[str, str]:
    """What a benchmark measures, in a sentence, and how to read what it prints: its docstring without commands."""
    file = benchmarks().get(name)
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) if file else None
    first, *rest = (text or "").split("\n\n")
    what = first.split(":  python")[0].replace("\n", " ").rstrip(".:") + "."
    return what, "\n\n".join(part for part in rest if not part.startswith("    python"))
