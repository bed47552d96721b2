"""Training sees what it may, gives the same network whatever happens to it, and is done once."""

import dataclasses
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from tiny_faces import tiny_faces
from typer.testing import CliRunner

from ferlib import batches, cli, config, datasets, devices, learner, recipes, runs, splits, training
from ferlib.config import UsageError
from ferlib.recipes import RECIPES, TrainConfig
from ferlib.splits import LeakError

TINY = TrainConfig(corpus="synthetic-tiny", width=0.0625, n_epochs=3, batch_size=32, lr=0.005, threads=1)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def parts():
    return splits.parts(tiny_faces())


def weights(fitted):
    return fitted.net.state_dict()


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# ------------------------------------------------------------------------------------ what training sees


def test_a_bar_that_anybody_can_see_is_learned():
    run = training.ensure(dataclasses.replace(TINY, n_epochs=8), tiny_faces(n=600))
    p = run.predictions
    assert (p[list(run.emotions)].idxmax(axis=1) == p["truth"]).mean() > 0.8


def test_the_fast_recipe_learns_it_too(parts):
    fitted = training.fit(
        parts.train, parts.val, dataclasses.replace(TINY, recipe="fast", lr=0.2, n_epochs=10)
    )
    assert fitted.history[fitted.best_epoch]["val_accuracy"] > 0.8


def test_test_faces_in_selection_raise(parts):
    for train, val in [(parts.test, parts.val), (parts.train, parts.test)]:
        with pytest.raises(LeakError, match="test images"):
            training.fit(train, val, TINY)


def test_a_person_in_both_train_and_val_raises():
    faces = tiny_faces(people=6)
    half = np.arange(len(faces)) < 120
    with pytest.raises(LeakError, match="share 6 people"):
        training.fit(faces.select(half).with_role("train"), faces.select(~half).with_role("val"), TINY)


def test_the_best_epoch_is_chosen_by_accuracy_then_loss_then_age():
    progress = learner.Progress()
    net = torch.nn.Linear(1, 1)
    for accuracy, loss in [(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.8), (0.6, 0.1)]:
        progress.note({"val_accuracy": accuracy, "val_loss": loss}, net)
    assert progress.best_epoch == 2
    assert progress.stops(patience=2)
    assert not progress.stops(patience=3)
    assert not progress.stops(patience=0)


def test_training_stops_early_and_returns_the_best_epoch(parts):
    fitted = training.fit(parts.train, parts.val, dataclasses.replace(TINY, n_epochs=60, patience=2))
    assert len(fitted.history) < 60
    assert len(fitted.history) == fitted.best_epoch + 3
    again = learner.validated(fitted.net, parts.val, flip=False)
    assert again["val_accuracy"] == fitted.history[fitted.best_epoch]["val_accuracy"]


# ------------------------------------------------------------------------ the same network, whatever happens


def test_the_same_seed_gives_the_same_tensors_and_another_seed_others(parts):
    first, second = (training.fit(parts.train, parts.val, TINY) for _ in range(2))
    other = training.fit(parts.train, parts.val, dataclasses.replace(TINY, seed=1))
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(other))


def test_streamed_faces_give_the_same_tensors_as_resident_ones(parts):
    resident = training.fit(parts.train, parts.val, TINY)
    streamed = training.fit(parts.train, parts.val, dataclasses.replace(TINY, stream=True))
    assert same(weights(resident), weights(streamed))


def test_faces_are_streamed_from_a_memory_map_when_they_do_not_fit(tmp_path, monkeypatch):
    images = tiny_faces().images
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    monkeypatch.setattr(devices, "fits", lambda *_: False)
    feed = batches.feed(mapped, torch.device("cpu"), stream=False, workers=2)
    assert isinstance(feed, batches.Streamed)
    order = batches.epoch_batches(len(images), 50, seed=0, epoch=0)
    for index, faces in feed(order):
        assert torch.equal(faces[:, 0], torch.from_numpy(images[index.numpy()]))


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_stopped_training_goes_on_to_the_same_tensors(parts, tmp_path, monkeypatch, recipe):
    settings = dataclasses.replace(TINY, recipe=recipe)
    whole = training.fit(parts.train, parts.val, settings)
    note = learner.Progress.note

    def stops_in_the_third_epoch(progress, *given):
        if progress.epoch == 2:
            raise KeyboardInterrupt
        note(progress, *given)

    with monkeypatch.context() as patched:
        patched.setattr(learner.Progress, "note", stops_in_the_third_epoch)
        with pytest.raises(KeyboardInterrupt):
            training.fit(parts.train, parts.val, settings, tmp_path)
    resumed = training.fit(parts.train, parts.val, settings, tmp_path)
    assert same(weights(whole), weights(resumed))
    assert [r["val_loss"] for r in whole.history] == [r["val_loss"] for r in resumed.history]


def test_half_a_checkpoint_is_no_checkpoint(parts, tmp_path):
    training.fit(parts.train, parts.val, TINY, tmp_path)
    checkpoint = tmp_path / runs.CHECKPOINT
    checkpoint.write_bytes(checkpoint.read_bytes()[:5000])
    assert learner.Checkpoints(tmp_path).load() is None


def test_every_epoch_shows_every_face_once_in_equal_batches():
    order = batches.epoch_batches(103, 32, seed=0, epoch=4)
    assert sorted(len(b) for b in order) == [25, 26, 26, 26]
    assert sorted(torch.cat(order).tolist()) == list(range(103))
    assert not torch.equal(torch.cat(order), torch.cat(batches.epoch_batches(103, 32, seed=0, epoch=5)))


def test_the_callers_threads_and_random_numbers_are_given_back(parts):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    before = torch.get_num_threads()
    training.fit(parts.train, parts.val, dataclasses.replace(TINY, n_epochs=1))
    assert torch.equal(torch.rand(3), expected)
    assert torch.get_num_threads() == before


def test_a_terminal_shows_epoch_speed_time_left_loss_and_accuracy(parts, monkeypatch, capsys):
    training.fit(parts.train, parts.val, dataclasses.replace(TINY, n_epochs=1))
    assert capsys.readouterr().err == ""  # and whatever is no terminal shows nothing
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    training.fit(parts.train, parts.val, dataclasses.replace(TINY, n_epochs=4))
    last = capsys.readouterr().err.split("\r")[-1]
    assert re.search(
        r"epoch 4/4: 100%.*672/672 \[\d\d:\d\d<\d\d:\d\d, .*faces/s, loss \d.\d+ acc 0.\d+", last
    ), last


# -------------------------------------------------------------------------------------------- recipes


def test_the_papers_learning_rate_is_kerass_decay():
    assert recipes.lr_factor(RECIPES["paper"], 100_000, 1) == pytest.approx(1 / 2)


def test_one_cycle_rises_to_its_peak_and_falls_to_nothing():
    factors = [recipes.lr_factor(RECIPES["fast"], step, 100) for step in range(100)]
    assert factors[0] == pytest.approx(0.2)
    assert np.argmax(factors) == 20
    assert factors[20] == 1
    assert factors[99] == pytest.approx(1 / 80)


def test_the_average_is_a_running_mean_of_weights_and_buffers():
    net = torch.nn.BatchNorm1d(1)
    average = recipes.Average(net, keep=0.9)
    expected = 0.0
    for step in range(200):
        net.running_mean.fill_(step)
        average.update(step)
        keep = min(0.9, (1 + step) / (10 + step))
        expected = keep * expected + (1 - keep) * step
    assert average.net.running_mean.item() == pytest.approx(expected, rel=1e-5)


def test_a_recipes_values_stand_in_the_resolved_settings_and_may_be_overridden():
    fast = TrainConfig(recipe="fast", lr=0.1).resolved()
    assert (fast.lr, fast.batch_size, fast.patience) == (0.1, RECIPES["fast"].batch_size, 0)


@pytest.mark.parametrize("wrong", [{"recipe": "papr"}, {"width": 0.0}, {"n_epochs": -1}, {"dropout": 1.0}])
def test_wrong_settings_are_refused_by_name(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        TrainConfig(**wrong)


# ------------------------------------------------------------------------------------- runs and their keys


def test_a_run_is_made_once_and_says_everything(monkeypatch):
    faces = tiny_faces()
    run = training.ensure(TINY, faces)
    monkeypatch.setattr(training, "fit", None)  # the second call must not train
    assert training.ensure(TINY, faces).path == run.path
    assert run.key == training.key_of(TINY, faces)
    assert runs.KEY.fullmatch(run.key)
    assert run.key.startswith("synthetic-tiny-emotioncnn-s0-")
    record = run.record
    assert record["config"] == json.loads(config.canonical(TINY.resolved()))
    assert (
        record["counts"]["train"]
        == faces.select(faces.table["split"] == "train").table["emotion"].value_counts().to_dict()
    )
    assert len(record["images_per_s"]) == len(run.history) == 3
    assert {"device", "threads", "versions", "seconds", "code_digest", "seed", "precision"} <= set(record)
    with safe_open(run.path / runs.WEIGHTS, "pt") as file:
        assert file.metadata() is None


def test_predictions_are_of_the_test_part_alone_and_of_the_selected_network():
    faces = tiny_faces(people=12)
    run = training.ensure(dataclasses.replace(TINY, fold=2), faces)
    test = splits.parts(faces, fold=2).test
    p = run.predictions
    assert p["row"].tolist() == test.table["row"].tolist()
    assert p["subject"].tolist() == test.subjects.tolist()
    assert set(p["fold"]) == {2}
    assert set(p["split"]) == {"test"}
    assert p["truth"].tolist() == test.table["emotion"].tolist()
    expected = run.model()(torch.from_numpy(test.images)[:, None]).softmax(1).detach().numpy()
    np.testing.assert_allclose(p[list(run.emotions)], expected, atol=1e-5)


def test_the_key_depends_on_what_changes_the_result_and_on_nothing_else():
    faces = tiny_faces()

    def key(faces=faces, **changes):
        return training.key_of(dataclasses.replace(TINY, **changes), faces)

    assert key(threads=2, stream=True, workers=1, device="cpu") == key()
    assert key(protocol="official", duplicates="drop-cross-split") == key()  # it leads to the same faces
    others = [key(lr=0.1), key(width=0.125), key(recipe="fast"), key(tiny_faces(seed=1)), key(dropout=0.1)]
    assert len({key(), *others}) == 6
    relabelled = dataclasses.replace(faces, table=faces.table.assign(emotion="anger"))
    assert key(relabelled) != key()


def test_the_recipes_own_value_and_no_value_are_the_same_run():
    faces = tiny_faces()
    own = dataclasses.replace(TINY, lr=RECIPES["paper"].lr)
    assert training.key_of(own, faces) == training.key_of(dataclasses.replace(TINY, lr=0.0), faces)


def test_a_profile_makes_one_run_a_seed_and_an_assignment_wins():
    quick = {"width": 0.25, "n_epochs": 12, "seeds": [3, 4], "not_a_setting": 1}
    found = training.wishes(quick, "ckplus", ["n_epochs=5"])
    assert [(c.corpus, c.width, c.n_epochs, c.seed) for c in found] == [
        ("ckplus", 0.25, 5, 3),
        ("ckplus", 0.25, 5, 4),
    ]
    assert [c.seed for c in training.wishes(quick, "ckplus", ["seed=9"])] == [9]
    with pytest.raises(UsageError, match="n_epochs"):
        training.wishes(quick, "ckplus", ["n_epoch=5"])


def test_a_card_says_key_estimates_and_device():
    text = training.card(training.ensure(TINY, tiny_faces()))
    for word in (
        "synthetic-tiny-emotioncnn-s0",
        "accuracy",
        "baseline_accuracy",
        "n = 36",
        "faces/s",
        "protocol",
    ):
        assert word in text


def test_the_command_trains_every_seed_once_and_prints_their_cards(monkeypatch):
    monkeypatch.setattr(datasets, "load", lambda *_, **__: tiny_faces())
    words = ["train", "--corpus", "synthetic-tiny"]
    for change in ("width=0.0625", "n_epochs=1", "threads=1"):
        words += ["--set", change]
    first = CliRunner().invoke(cli.app, words)
    assert first.exit_code == 0, first.output
    assert first.output.startswith(runs.all()[0].key)
    assert CliRunner().invoke(cli.app, words).output == first.output


def test_a_benchmark_that_does_not_exist_is_refused_with_the_known_ones():
    refused = CliRunner().invoke(cli.app, ["bench", "trainning"])
    assert "training" in str(refused.exception)


# ----------------------------------------------------------------------------------- in other processes


def python(code, *words, **environment):
    """Run ``code`` in a fresh interpreter beside these tests; returns what it printed."""
    done = subprocess.run(
        [sys.executable, *words, "-c", code] if code else [sys.executable, *words],
        cwd=Path(__file__).parent, env=os.environ | environment, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


KILLED = """
import dataclasses, os, random, signal, sys, time
from pathlib import Path
import lightning.fabric, pandas, pyarrow, torch
from tiny_faces import tiny_faces
from ferlib import runs, training
from test_training import TINY

torch.set_num_threads(1)                       # a forked child must find no thread pool of its parent
settings = dataclasses.replace(TINY, n_epochs=40)
faces = tiny_faces()

def started(home):
    child = os.fork()
    if child == 0:
        os.environ["FERLIB_HOME"] = home
        training.ensure(settings, faces)
        os._exit(0)
    return child

began = time.time()
os.waitpid(started("whole"), 0)
seconds = time.time() - began
chance = random.Random(0)
n_kills = 0
while n_kills < 6 and not list(Path("killed/runs").glob("[!.]*/run.json")):
    child = started("killed")
    time.sleep(chance.uniform(0.02, 0.3) * seconds)
    os.kill(child, signal.SIGKILL)
    n_kills += os.waitpid(child, 0)[1] == signal.SIGKILL
_, status = os.waitpid(started("killed"), 0)
assert status == 0
def tensors(home):
    os.environ["FERLIB_HOME"] = home
    return runs.all()[0].model().state_dict()
whole, killed = tensors("whole"), tensors("killed")
assert all(torch.equal(whole[k], killed[k]) for k in whole)
os.environ["FERLIB_HOME"] = "killed"
assert runs.unfinished() == [] and len(runs.all()) == 1
print(n_kills, "kills")
"""


def test_a_training_killed_again_and_again_ends_with_the_tensors_of_an_unbroken_one(tmp_path):
    code = f"import os, sys; sys.path.insert(0, os.getcwd()); os.chdir({str(tmp_path)!r})\n" + KILLED
    assert int(python(code).split()[0]) >= 4


ALONE = """
import sys
for absent in "platformdirs pandera captum papermill dask cv2 seaborn statsmodels nbformat pooch".split():
    sys.modules[absent] = None  # importing it raises ModuleNotFoundError
from tiny_faces import tiny_faces
from ferlib import training
from ferlib.training import TrainConfig
settings = TrainConfig(corpus="synthetic-tiny", width=0.0625, n_epochs=1, threads=1)
print(training.ensure(settings, tiny_faces()).key)
from typer.testing import CliRunner
from ferlib import cli, config
told = CliRunner().invoke(cli.app, ["train", "--corpus", "synthetic-absent", "--profile", "tiny"])
assert isinstance(told.exception, config.DataError), told.exception  # the profile was read, the corpus is not there
"""


def test_training_needs_no_more_than_a_bare_gpu_image_has(tmp_path):
    assert "synthetic-tiny-emotioncnn" in python(ALONE, FERLIB_HOME=str(tmp_path))


TRAIN = """
import dataclasses, sys, torch
from tiny_faces import tiny_faces
from test_training import TINY
from ferlib import learner, training
settings = dataclasses.replace(TINY, **eval(sys.argv[1]))
epoch = learner.Learner.epoch
def told(made, number, bar):
    print("epoch", number, flush=True)
    return epoch(made, number, bar)
learner.Learner.epoch = told
run = training.ensure(settings, tiny_faces())
if int(__import__("os").environ.get("RANK", 0)) == 0:
    print(run.key)
"""


def launched(home, changes, **how):
    """A process of its own that trains the tiny faces with ``changes`` to ``TINY``."""
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, repr(changes)],
        cwd=Path(__file__).parent, env=os.environ | {"FERLIB_HOME": str(home)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True, **how,
    )  # fmt: skip


def alive(session):
    """Processes of the session ``session`` that run."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, of_session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(of_session) == session and state != "Z":
            found.append(stat.parent.name)
    return found


def end_of(session, within_s=10.0):
    """Wait until no process of ``session`` runs, at most ``within_s``."""
    until = time.monotonic() + within_s
    while alive(session) and time.monotonic() < until:
        time.sleep(0.1)
    return alive(session) == []


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
def test_no_loader_worker_outlives_a_killed_training_by_ten_seconds(home):
    trains = launched(home, {"n_epochs": 100_000, "stream": True})
    while "epoch 2" not in trains.stdout.readline():
        assert trains.poll() is None
    began = time.monotonic()
    while len(alive(trains.pid)) < 3 and time.monotonic() < began + 30:  # itself and two workers
        time.sleep(0.001)
    trains.kill()
    trains.wait()
    assert end_of(trains.pid)


def test_who_waited_while_another_made_the_run_finds_it(monkeypatch, home):
    faces = tiny_faces()
    run = training.ensure(TINY, faces)
    hidden = run.path.rename(home / "hidden")
    monkeypatch.setattr(training, "fit", None)  # whoever waits must not train
    with ThreadPoolExecutor() as pool:
        with runs.lock(run.key):
            waits = pool.submit(training.ensure, TINY, faces)
            time.sleep(0.5)
            assert not waits.done()
            hidden.rename(run.path)
        assert waits.result(timeout=30) == run


@pytest.mark.full
def test_two_processes_that_ask_for_one_run_make_it_once(home):
    first, second = (launched(home, {"n_epochs": 30}) for _ in range(2))
    said = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert first.returncode == second.returncode == 0
    assert sum(text.count("epoch") for text in said) == 30
    assert len(runs.all()) == 1


def test_two_processes_under_torchrun_train_the_network_of_one(tmp_path, monkeypatch):
    script = tmp_path / "train.py"
    script.write_text(f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n" + TRAIN)
    changes = {"dropout": 0.0, "n_epochs": 2}
    alone = training.ensure(dataclasses.replace(TINY, **changes), tiny_faces())
    expected = alone.model().state_dict()
    words = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", str(script), repr(changes)]
    python("", *words, FERLIB_HOME=str(tmp_path / "both"))
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "both"))
    both = runs.find(alone.key)
    assert both.record["n_devices"] == 2
    for name, tensor in both.model().state_dict().items():
        torch.testing.assert_close(tensor, expected[name], atol=2e-4, rtol=2e-3)


@pytest.mark.full
def test_twenty_kills_of_the_process_or_its_group_change_nothing(tmp_path, monkeypatch):
    changes = {"n_epochs": 60, "stream": True}
    whole = launched(tmp_path / "whole", changes)
    whole.stdout.readline()
    began = time.monotonic()
    whole.communicate(timeout=600)
    seconds = time.monotonic() - began
    chance, n_kills = random.Random(0), 0
    while n_kills < 20:
        trains = launched(tmp_path / "killed", changes)
        trains.stdout.readline()  # it trains: the imports before are not what is tested
        time.sleep(chance.uniform(0, 0.4) * seconds)
        if trains.poll() is not None:  # it finished: the next one starts anew
            shutil.rmtree(tmp_path / "killed")
            continue
        os.killpg(trains.pid, signal.SIGKILL) if n_kills % 2 else trains.kill()
        trains.wait()
        n_kills += 1
        assert end_of(trains.pid)
    assert launched(tmp_path / "killed", changes).wait(600) == 0
    tensors = []
    for home in ("whole", "killed"):
        monkeypatch.setenv("FERLIB_HOME", str(tmp_path / home))
        (run,) = runs.all()
        assert runs.unfinished() == []
        tensors.append(run.model().state_dict())
    assert same(*tensors)
