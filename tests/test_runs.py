"""A run is whole or not there, and is made once."""

import json
import multiprocessing
import os
import time

import pytest
import torch
from safetensors.torch import save_file

from ferlib import models, paths, runs
from ferlib.config import DataError

KEY = "fer2013-emotioncnn-s0-0123abcd"


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    return tmp_path


def finished(key=KEY):
    net = models.EmotionCNN(3, size=16, width=0.0625)
    folder = runs.workplace(key)
    settings = {"n_classes": 3, "size": 16, "width": 0.0625}
    save_file(net.state_dict(), folder / runs.WEIGHTS)
    runs.write_json(folder / runs.RECORD, {"network": {"name": "EmotionCNN", "settings": settings}})
    (folder / runs.CHECKPOINT).write_text("half a run")
    return runs.publish(key), net


def test_a_published_run_is_found_with_its_network_and_without_its_checkpoint():
    run, net = finished()
    assert runs.find(KEY) == run
    assert runs.all() == [run]
    assert runs.unfinished() == []
    assert not (run.path / runs.CHECKPOINT).exists()
    loaded = run.model()
    assert not loaded.training
    for name, tensor in net.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_a_run_that_is_not_there_names_the_nearest_and_the_next_command():
    finished()
    with pytest.raises(DataError, match=rf"{KEY}(.|\n)*ferlib book build --only training"):
        runs.find(KEY[:-1] + "e")


def test_an_unfinished_run_is_not_found_and_cannot_be_published():
    folder = runs.workplace(KEY)
    assert runs.unfinished() == [folder]
    assert runs.all() == []
    with pytest.raises(DataError, match="not finished"):
        runs.publish(KEY)


def test_a_file_is_written_whole_or_not_at_all(home):
    runs.write_json(home / "a.json", {"old": 1})

    def fails(file):
        file.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        runs.write_whole(home / "a.json", fails)
    assert json.loads((home / "a.json").read_text()) == {"old": 1}
    assert os.listdir(home) == ["a.json"]


def hold(seconds, began):
    with runs.lock(KEY):
        began.set()
        time.sleep(seconds)


def test_a_lock_keeps_others_waiting_and_dies_with_its_holder():
    context = multiprocessing.get_context("spawn")
    began = context.Event()
    holder = context.Process(target=hold, args=(60, began))
    holder.start()
    assert began.wait(60)
    import filelock

    with pytest.raises(filelock.Timeout):
        filelock.FileLock(paths.runs() / f".{KEY}.lock").acquire(timeout=0.2)
    holder.kill()
    holder.join()
    with runs.lock(KEY):
        pass
