"""Work in parallel gives what work in series gives, and loses nothing when a worker dies."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from ferlib import jobs
from ferlib.config import DataError, UsageError


def product(item):
    """Sums that depend on how many threads add them, and on the caller's home."""
    import numpy as np
    import torch

    rows = np.random.default_rng(item).normal(size=(64, 4096)).astype(np.float32)
    return float((rows @ rows.T).sum()), torch.get_num_threads(), os.environ["FERLIB_HOME"]


def dies_once(folder, item):
    """The worker of item 2 is killed the first time; each finished item leaves a mark."""
    if item == 2 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"done-{item}").touch()
    return item * item


def addresses(item):
    """Where this worker and its parent, the scheduler's process, listen."""
    time.sleep(0.5)
    here = psutil.Process()
    return {
        c.laddr.ip
        for p in (here, *here.parents()[:2])
        for c in p.net_connections("tcp")
        if c.status == "LISTEN"
    }


def kills(item):
    os.kill(os.getpid(), signal.SIGKILL)


def refuses(item):
    if item == "bad":
        raise DataError("the faces are gone")
    if item == "worse":
        raise KeyError("a defect")
    return item


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster as ``jobs`` starts it, which the tests share."""
    with jobs._client(2, "") as client:
        yield client.scheduler.address


def test_results_come_in_the_order_of_the_items_and_are_those_of_one_process(
    tmp_path, monkeypatch, scheduler
):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    alone = jobs.run(product, range(5), threads=1)
    for _ in range(2):  # a scheduler that runs elsewhere is left running
        assert jobs.run(product, range(5), scheduler=scheduler, threads=1) == alone
    assert [threads for _, threads, _ in alone] == [1] * 5
    assert {home for _, _, home in alone} == {str(tmp_path)}
    assert os.environ["FERLIB_HOME"] == str(tmp_path)


def test_a_worker_that_is_killed_loses_nothing(tmp_path, scheduler):
    assert jobs.run(partial(dies_once, tmp_path), range(6), scheduler=scheduler) == [0, 1, 4, 9, 16, 25]
    assert (tmp_path / "died").exists()


def test_nothing_listens_to_the_network(scheduler):
    assert set().union(*jobs.run(addresses, [0, 1], scheduler=scheduler)) == {"127.0.0.1"}


def test_an_item_that_kills_every_worker_is_named(monkeypatch):
    monkeypatch.setattr(jobs, "DEATHS", 1)
    with pytest.raises(jobs.JobError, match=r"clips, 7: .*workers died"):
        jobs.run(kills, [7, 7], n_jobs=2, what="clips")


def test_an_item_that_raises_stops_with_its_name_and_its_kind_of_error(scheduler):
    for where in ("", scheduler):
        with pytest.raises(DataError, match="cells, bad: the faces are gone"):
            jobs.run(refuses, ["good", "bad"], scheduler=where)


def test_a_defect_in_a_task_is_named_with_its_item():
    with pytest.raises(jobs.JobError, match="cells, worse: KeyError: 'a defect'"):
        jobs.run(refuses, ["good", "worse"])


def test_an_address_where_nobody_answers_is_told_with_the_next_command(monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE_S", 0.5)
    with pytest.raises(UsageError, match=r"127\.0\.0\.1:9.*dask scheduler"):
        jobs.run(refuses, ["good"], scheduler="tcp://127.0.0.1:9")


def test_no_jobs_are_refused():
    with pytest.raises(UsageError, match="n_jobs=0"):
        jobs.run(refuses, ["good"], n_jobs=0)


SLEEPER = """
import sys
from pathlib import Path
from functools import partial
from ferlib import jobs
from test_jobs import sleeps

if __name__ == "__main__":
    jobs.run(partial(sleeps, Path(sys.argv[1])), range(4), n_jobs=2)
"""


def sleeps(folder, item):
    (folder / f"pid-{item}-{os.getpid()}").touch()
    time.sleep(120)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_when_the_caller_is_stopped(tmp_path, sent):
    (tmp_path / "sleeper.py").write_text(SLEEPER)
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    caller = subprocess.Popen([sys.executable, str(tmp_path / "sleeper.py"), str(tmp_path)], env=env,
                              stderr=subprocess.DEVNULL, start_new_session=True)  # fmt: skip
    try:
        began = time.monotonic()
        while len(list(tmp_path.glob("pid-*"))) < 2 and time.monotonic() - began < 90:
            time.sleep(0.1)
        workers = [psutil.Process(int(mark.name.split("-")[2])) for mark in tmp_path.glob("pid-*")]
        assert len(workers) == 2
        caller.send_signal(sent)
        caller.wait(60)
        _, left = psutil.wait_procs(workers, timeout=30)
        assert left == []
    finally:
        caller.kill()
