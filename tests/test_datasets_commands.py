"""The corpus and home commands: what they print, what they exit with, what they never import."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fer_world import csv_row, good_rows, sample, write_csv
from typer.testing import CliRunner

from ferlib import cli, datasets, paths
from ferlib.config import DataError, UsageError
from ferlib.datasets import drawn, listing

pytestmark = pytest.mark.usefixtures("own_home")


def ferlib(*arguments: str) -> subprocess.CompletedProcess:
    code = (
        "import sys; from ferlib.cli import main\n"
        "try: main()\n"
        "finally: print('LOADED', *[m for m in ('torch', 'cv2', 'scipy', 'sklearn') if m in sys.modules])"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120
    )


def test_check_prepare_and_list_on_the_committed_sample_without_torch(tmp_path):
    tree = sample(tmp_path / "tree")
    for arguments in (
        ["--help"], ["corpus", "check", "fer2013", str(tree), "--strict"],
        ["corpus", "prepare", "fer2013", "--source", str(tree)], ["corpus", "check", "fer2013"],
        ["corpus", "list"], ["home", "--prune"],
    ):  # fmt: skip
        done = ferlib(*arguments)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "LOADED"
    faces = datasets.load("synthetic-fer2013")
    assert (len(faces), faces.images.shape[1:], faces.synthetic) == (42, (48, 48), True)
    assert faces.table["emotion"].value_counts().tolist() == [6] * 7
    assert faces.table["split"].value_counts().to_dict() == {"train": 28, "val": 7, "test": 7}


def test_the_committed_sample_is_small_and_marked_as_drawn():
    folder = Path(__file__).parent / "data" / "fer2013"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 200_000
    assert json.loads((folder / "DRAWN.json").read_text())["synthetic"] is True


def test_training_machines_need_few_packages_to_load_and_divide(tmp_path):
    """A bare GPU image has torch, numpy, pandas and pyarrow; the rest of the book's packages it lacks."""
    datasets.prepare("fer2013", sample(tmp_path / "tree"))
    code = (
        "import sys\n"
        "for name in ('pandera', 'filelock', 'cv2', 'PIL', 'platformdirs', 'sklearn', 'scipy', 'python_calamine'):\n"
        "    sys.modules[name] = None\n"
        "from ferlib import datasets, splits\n"
        "print(splits.parts(datasets.load('synthetic-fer2013')).sentence)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "28 Training images fitted the network" in done.stdout


def test_a_home_that_cannot_be_written_names_another(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "file"))
    done = ferlib("corpus", "prepare", "fer2013", "--source", str(sample(tmp_path / "tree")))
    assert done.returncode == 1
    assert "export FERLIB_HOME=FOLDER" in done.stderr


def test_exit_codes_tell_bad_data_from_a_wrong_call(tmp_path):
    run = CliRunner().invoke
    bad = write_csv(tmp_path / "fer2013.csv", [csv_row(9, good_rows()[1][0])])
    checked = run(cli.app, ["corpus", "check", "fer2013", str(bad)])
    assert checked.exit_code == 1
    assert "problem: fer2013.csv:2: unknown emotion 9" in checked.output
    good = write_csv(tmp_path / "good" / "fer2013.csv", good_rows()[0])
    assert run(cli.app, ["corpus", "check", "fer2013", str(good)]).exit_code == 0
    assert run(cli.app, ["corpus", "check", "fer2013", str(good), "--strict"]).exit_code == 1
    assert isinstance(run(cli.app, ["corpus", "check", "fer2103", str(good)]).exception, UsageError)
    assert isinstance(run(cli.app, ["corpus", "check", "fer2013"]).exception, DataError)
    done = ferlib("corpus", "prepare", "fer2013", "--source", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "does not exist" in done.stderr
    assert ferlib("corpus", "check", "fer2103").returncode == 2


def test_skip_bad_says_where_it_listed_what_it_left_out(tmp_path):
    face = good_rows()[1][0]
    source = write_csv(tmp_path / "fer2013.csv", [csv_row(9, face), csv_row(1, face)])
    refused = CliRunner().invoke(cli.app, ["corpus", "prepare", "fer2013", "--source", str(source)])
    assert isinstance(refused.exception, DataError)
    done = CliRunner().invoke(
        cli.app, ["corpus", "prepare", "fer2013", "--source", str(source), "--skip-bad"]
    )
    assert done.exit_code == 0
    assert str(paths.corpus("fer2013") / "left_out.csv") in done.output


def write_toy(out: Path, n_images: int = 12, seed: int = 0) -> Path:
    """What a writer of the rig does, with noise for faces."""
    write_csv(out / "fer2013.csv", good_rows(n_images, seed)[0])
    (out / "DRAWN.json").write_text(json.dumps({"corpus": "fer2013", "seed": seed}))
    return out


@pytest.fixture
def toy_rig(monkeypatch):
    monkeypatch.setattr(drawn, "writers", lambda: {"fer2013": write_toy})


@pytest.mark.usefixtures("toy_rig")
def test_ensure_draws_what_is_missing_and_only_that():
    monkey_size = {"fer2013": {"quick": {"n_images": 30}, "full": {"n_images": 60}}}
    drawn.SIZES, before = monkey_size, drawn.SIZES
    try:
        place = datasets.ensure("synthetic-fer2013")
        stamp = (place / "manifest.json").stat().st_mtime_ns
        assert datasets.ensure("synthetic-fer2013") == place
    finally:
        drawn.SIZES = before
    assert (place / "manifest.json").stat().st_mtime_ns == stamp
    assert len(datasets.load("synthetic-fer2013")) == 30
    with pytest.raises(DataError, match="ferlib corpus prepare fer2013 --source"):
        datasets.ensure("fer2013")


@pytest.mark.usefixtures("toy_rig")
def test_a_corpus_that_another_rig_drew_is_named_with_the_command_and_stays(monkeypatch, recwarn):
    tree = datasets.make("fer2013", n_images=20, seed=3)
    place, _ = datasets.prepare("fer2013", tree)
    datasets.ensure("synthetic-fer2013")
    assert not [w for w in recwarn if "rig" in str(w.message)]
    stamp = (place / "manifest.json").stat().st_mtime_ns
    monkeypatch.setattr(drawn, "rig_digest", lambda: "another")
    again = "another version of the rig. Draw it again:  ferlib corpus make fer2013 --size quick --images 20 --seed 3"
    with pytest.warns(UserWarning, match=again):
        datasets.ensure("synthetic-fer2013")
    assert again in listing.home()
    assert (place / "manifest.json").stat().st_mtime_ns == stamp


def test_chapters_that_run_side_by_side_draw_a_corpus_once(monkeypatch):
    drawings = []

    def slow_toy(out: Path, n_images: int = 12, seed: int = 0) -> Path:
        drawings.append(out)
        time.sleep(0.5)
        return write_toy(out, 12, seed)

    monkeypatch.setattr(drawn, "writers", lambda: {"fer2013": slow_toy})
    with ThreadPoolExecutor(3) as pool:
        places = list(pool.map(datasets.ensure, ["synthetic-fer2013"] * 3))
    assert len(drawings) == 1
    assert len(set(places)) == 1


@pytest.mark.usefixtures("toy_rig")
def test_make_scales_and_refuses_what_means_nothing(tmp_path):
    out = datasets.make("fer2013", n_images=20, seed=3, out=tmp_path / "tree")
    assert len((out / "fer2013.csv").read_text().splitlines()) == 21
    assert not paths.corpora().exists()
    datasets.make("synthetic-fer2013", n_images=15, out=out)  # drawn before, so it is replaced
    assert len((out / "fer2013.csv").read_text().splitlines()) == 16
    with pytest.raises(UsageError, match="--subjects means nothing for fer2013"):
        datasets.make("fer2013", n_subjects=3)
    with pytest.raises(UsageError, match="--images 0"):
        datasets.make("fer2013", n_images=0)
    with pytest.raises(UsageError, match="Did you mean 'quick'"):
        datasets.make("fer2013", size="quik")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not drawn"):
        datasets.make("fer2013", out=tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_killed_prepare_leaves_nothing_or_everything(tmp_path):
    """The real command, killed at random moments; then the same command succeeds."""
    tree = sample(tmp_path / "tree")
    command = [sys.executable, "-m", "ferlib.cli", "corpus", "prepare", "fer2013", "--source", str(tree)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    whole_s = time.perf_counter() - start
    digest = datasets.read_manifest("synthetic-fer2013")["digest"]
    rng = random.Random(0)
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=os.environ)
        time.sleep(whole_s * (0.7 + 0.4 * rng.random()))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert datasets.verify_store("synthetic-fer2013").exit_code() == 0
        assert datasets.read_manifest("synthetic-fer2013")["digest"] == digest


def test_a_source_that_is_missing_or_empty_is_told_with_the_next_command(tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("fer2013", "ckplus", "novaemotions", "casme2", "samm", "smic"):
        with pytest.raises(DataError, match=rf"nope does not exist(.|\n)*ferlib corpus make {name}$"):
            datasets.prepare(name, tmp_path / "nope")
        with pytest.raises(DataError, match=rf"empty holds n(.|\n)*ferlib corpus make {name}$"):
            datasets.check(name, tmp_path / "empty")


def test_the_help_of_train_names_every_setting():
    from ferlib.config import fields_of
    from ferlib.recipes import TrainConfig

    assert cli.SETTINGS.split() == list(fields_of(TrainConfig))
    assert "Example" in CliRunner().invoke(cli.app, ["train", "--help"]).output
