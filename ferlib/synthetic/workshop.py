"""What the writers of drawn corpora share: processes that draw, a folder that is whole or not there, its mark."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tqdm import tqdm

import ferlib
from ferlib import jobs
from ferlib.config import DataError, digest
from ferlib.keep import replacing
from ferlib.lifeline import die_with

DRAWN = "DRAWN.json"
STALLED_S = 600.0
"""How long all workers may finish nothing before they are given up; a piece of work takes them a second or two."""


# ----------------------------------------------------------------------------------------------- processes


def in_parallel(
    task: Callable[[Any], Any], pieces: Sequence[Any], workers: int | None = None, what: str = "faces"
) -> list[Any]:
    """``[task(piece) for piece in pieces]``, in the order of the pieces, whatever the number of workers.

    task : a function at the top level of a module.  workers : processes of one thread, by default one a core; 1
    works here.  what : what is drawn, for the bar and for errors.

    Raises what ``task`` raises, and ``DataError`` where a process died or none finished anything in ``STALLED_S``.
    """
    workers = min(workers or jobs.cores(), len(pieces))
    if workers < 2:
        return [task(piece) for piece in tqdm(pieces, desc=what, disable=None)]  # silent in files and CI
    with _pool(workers) as pool, tqdm(desc=what, total=len(pieces), disable=None) as bar:
        try:
            futures = [pool.submit(task, piece) for piece in pieces]
            left = set(futures)
            while left:
                done, left = wait(left, STALLED_S, FIRST_COMPLETED)
                if not done:
                    _kill(pool)
                    raise DataError(f"{what}: no drawing process finished anything in {STALLED_S:g} s")
                for one in done:
                    one.result()  # raises at once what a worker raised
                bar.update(len(done))
            return [one.result() for one in futures]
        except BrokenProcessPool:
            raise DataError(f"{what}: a drawing process died, perhaps of memory") from None
        finally:
            pool.shutdown(cancel_futures=True)  # nobody writes any more when the folder goes


def _kill(pool: ProcessPoolExecutor) -> None:
    """End the workers of ``pool`` (public as ``kill_workers`` from Python 3.14): one that hangs is waited for else."""
    for process in list(pool._processes.values()):
        process.kill()


def _pool(workers: int) -> ProcessPoolExecutor:
    """Drawing processes, forked from a server that loaded the rig once; never from here: threads do not survive it."""
    context = get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["ferlib.synthetic.writers", "ferlib.synthetic.native.tree", "cv2"])
    return ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(os.getpid(),))


def _begin(owner: int) -> None:
    """One thread a process, which does not outlive the one that it draws for."""
    die_with(owner)
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


# ------------------------------------------------------------------------------------------------- folders


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """A folder to fill; when all went well it becomes ``out``, else ``out`` stays as it was.

    Its lock is a file of this user's own, away from ``out``: nothing but the tree is left beside it.
    Raises ``DataError`` where ``out`` holds something that was not drawn.
    """
    out = Path(out).absolute()
    lock = Path(tempfile.gettempdir()) / f"ferlib-{digest(str(Path.home()), str(out))}.lock"
    with replacing(out, lock) as fresh:
        if out.exists() and not (out.is_dir() and ((out / DRAWN).is_file() or not any(out.iterdir()))):
            raise DataError(
                f"{out} holds files that were not drawn. Choose another place:  ferlib corpus make --out DIR"
            )
        yield fresh


def write_mark(folder: Path, corpus: str, settings: dict[str, Any], seed: int) -> None:
    """``DRAWN.json``, by which a reader knows that no photograph is in the tree."""
    what = {"corpus": corpus, "synthetic": True, "settings": settings, "seed": seed}
    mark = {**what, "ferlib": ferlib.__version__}
    (folder / DRAWN).write_text(json.dumps(mark, indent=1) + "\n", encoding="utf-8")
