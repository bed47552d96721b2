"""Work in parallel on Dask: here with several processes, or on a cluster.

>>> run(task, items)  # doctest: +SKIP
>>> run(task, items, n_jobs=4)  # doctest: +SKIP
>>> run(task, items, scheduler="tcp://10.0.0.5:8786")  # doctest: +SKIP

The result is the same in all three ways: every task computes with the same number of threads, and what is
random in it comes from its item.  Workers read and write the caller's home: those of a cluster need it under
the same path.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from ferlib import paths
from ferlib.config import DataError, UsageError

DEATHS = 5
"""How many workers may die over an item before it is given up: it may be what kills them."""

PATIENCE_S = 20.0
"""How long a scheduler has to answer."""


class JobError(DataError):
    """An item could not be worked off."""


def run(
    task: Callable[[Any], Any],
    items: Sequence[Any],
    n_jobs: int = 1,
    scheduler: str = "",
    what: str = "cells",
    threads: int = 1,
) -> list[Any]:
    """``[task(item) for item in items]``, in the order of the items.

    task : a function at the top level of a module; it and the items travel to other processes by pickle.
    n_jobs : processes on this machine; 1 works here, without Dask.
    scheduler : address of a running Dask scheduler, used instead of processes of our own.
    what : what the items are, for the bar and for errors.
    threads : of PyTorch and the linear algebra in each task; another number adds in another order.

    What a worker that dies was working on is done again by another.  Raises what ``task`` raises, naming the
    item: ``UsageError`` and ``DataError`` as they are, :class:`JobError` for the rest and for an item over
    which ``DEATHS`` workers died.
    """
    if n_jobs < 1 or threads < 1:
        raise UsageError(f"n_jobs={n_jobs}, threads={threads}: both must be at least 1")
    items = list(items)
    here = not scheduler and (n_jobs == 1 or len(items) < 2)
    work = partial(_worked, task, threads, str(paths.home()), here=here)
    with _here(work, items) if here else _on_dask(work, items, min(n_jobs, len(items)), scheduler) as done:
        return _gathered(done, items, what)


def cores() -> int:
    """Processes that work best side by side: one a core that this process may use, and one in a worker."""
    if multiprocessing.parent_process() is not None:
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _worked(task: Callable[[Any], Any], threads: int, home: str, item: Any, here: bool = False) -> Any:
    """``task(item)`` with a fixed number of threads and the caller's home.

    Dask gives its processes one thread by themselves, so that PyTorch need not be loaded there to be told.
    """
    from threadpoolctl import threadpool_limits

    os.environ["FERLIB_HOME"] = home
    with contextlib.ExitStack() as settled:
        if here or threads > 1 or "torch" in sys.modules:
            from ferlib import devices

            settled.enter_context(devices.settled(threads))
        settled.enter_context(threadpool_limits(threads))
        return task(item)


@contextlib.contextmanager
def _here(work: Callable[[Any], Any], items: list[Any]) -> Iterator[Iterator[tuple[int, Callable[[], Any]]]]:
    """Index of each item, and a call that works it off in this process."""
    before = os.environ.get("FERLIB_HOME")
    try:
        yield ((i, partial(work, item)) for i, item in enumerate(items))
    finally:
        os.environ.pop("FERLIB_HOME") if before is None else os.environ.update(FERLIB_HOME=before)


@contextlib.contextmanager
def _on_dask(
    work: Callable[[Any], Any], items: list[Any], n_jobs: int, scheduler: str
) -> Iterator[Iterator[tuple[int, Callable[[], Any]]]]:
    """Index of each item that a worker has done, and a call that returns its result or raises."""
    import dask
    from distributed import as_completed

    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": DEATHS,
                # items may hold faces; the advice against that would stand on a page
                "distributed.admin.large-graph-warning-threshold": "1GB",
            }
        ),
        _client(n_jobs, scheduler) as client,
    ):
        futures = client.map(work, items, pure=False, retries=0)
        place = {future.key: i for i, future in enumerate(futures)}
        try:
            yield ((place[future.key], future.result) for future in as_completed(futures, loop=client.loop))
        finally:
            client.cancel(futures, force=True)


@contextlib.contextmanager
def _client(n_jobs: int, scheduler: str) -> Iterator[Any]:
    """A client of ``scheduler``, or of a cluster on this machine alone, which is gone afterwards."""
    from distributed import Client, LocalCluster

    if scheduler:
        try:
            client = Client(scheduler, timeout=PATIENCE_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise UsageError(
                f"scheduler={scheduler!r} does not answer: {error}. Start one:  dask scheduler --host ADDRESS"
            ) from error
        with client:
            yield client
        return
    nowhere = "127.0.0.1:0"  # without an address its pages would be open to the network
    options: dict[str, Any] = {"host": "127.0.0.1", "memory_limit": None, "dashboard_address": nowhere,
                               "worker_dashboard_address": nowhere}  # fmt: skip
    with (
        LocalCluster(
            n_workers=n_jobs, threads_per_worker=1, processes=True, silence_logs=50, **options
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


def _gathered(done: Iterator[tuple[int, Callable[[], Any]]], items: list[Any], what: str) -> list[Any]:
    """Every item's result in the items' order; the first that fails ends it."""
    from tqdm import tqdm

    results: list[Any] = [None] * len(items)
    for i, result in tqdm(done, desc=what, total=len(items), disable=None):  # silent in files and CI
        try:
            results[i] = result()
        except (UsageError, DataError) as error:
            raise type(error)(f"{what}, {_named(items[i])}: {error}") from error
        except Exception as error:
            died = type(error).__name__ == "KilledWorker"
            why = (
                f"{DEATHS} workers died over it, perhaps of memory"
                if died
                else f"{type(error).__name__}: {error}"
            )
            raise JobError(f"{what}, {_named(items[i])}: {why}") from error
    return results


def _named(item: Any, most: int = 300) -> str:
    """An item in a few words; of a list, its first and how many more."""
    if isinstance(item, list) and item:
        return _named(item[0], most) + (f" and {len(item) - 1} more" if len(item) > 1 else "")
    text = str(item)
    return text if len(text) <= most else f"{text[:most]} ..."
