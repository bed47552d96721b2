"""Stores are whole or not there, and say what they hold."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from fer_world import store

from ferlib import datasets, keep, paths
from ferlib.config import DataError, UsageError
from ferlib.datasets import listing

ABOUT = {"synthetic": True, "licence": "none", "source": "test"}
pytestmark = pytest.mark.usefixtures("own_home")


def faces_of(n: int, value: int = 0) -> np.ndarray:
    return np.full((n, 8, 8), value, np.uint8)


def table_of(n: int) -> pd.DataFrame:
    return pd.DataFrame({"image": [f"i{i}" for i in range(n)], "emotion": ["fear"] * n})


def test_what_is_written_is_what_is_loaded():
    faces = store(
        "synthetic-a", {"emotion": ["surprise", "anger", "anger"], "split": ["train", "train", "test"]}
    )
    assert faces.images[:, 0, 0].tolist() == [0, 1, 2]
    assert faces.table["row"].tolist() == [0, 1, 2]
    assert faces.emotions == ("anger", "surprise")
    assert faces.labels.tolist() == [1, 0, 0]
    assert (faces.synthetic, faces.split, faces.subjects) == (True, None, None)
    assert isinstance(faces.images, np.memmap)


def test_splits_agree_on_the_classes_and_a_run_of_rows_is_not_copied():
    faces = store(
        "synthetic-a", {"emotion": ["surprise", "anger", "anger"], "split": ["train", "test", "test"]}
    )
    test = datasets.load("synthetic-a", split="test")
    assert test.emotions == faces.emotions == ("anger", "surprise")
    assert test.split == "test"
    assert test.table["row"].tolist() == [1, 2]
    assert np.shares_memory(test.images, faces.select(np.array([1, 2])).images) or isinstance(
        test.images, np.memmap
    )
    assert len(faces.select(np.array([False, True, False]))) == 1


def test_images_may_come_in_chunks_and_have_the_digest_of_one_piece():
    whole = datasets.write_store("synthetic-a", faces_of(5, 3), table_of(5), ABOUT)
    digest = json.loads((whole / "manifest.json").read_text())["digest"]
    datasets.write_store("synthetic-b", iter([faces_of(2, 3), faces_of(3, 3)]), table_of(5), ABOUT)
    assert datasets.read_manifest("synthetic-b")["digest"] == digest
    datasets.write_store("synthetic-b", faces_of(5, 4), table_of(5), ABOUT)
    assert datasets.read_manifest("synthetic-b")["digest"] != digest


def test_labels_refuse_images_without_an_emotion_and_labelled_leaves_them_out():
    faces = store("synthetic-a", {"emotion": ["fear", None, "anger"]})
    with pytest.raises(DataError, match=r"1 of 3 images carry no emotion.*labelled"):
        _ = faces.labels
    assert faces.labelled().labels.tolist() == [1, 0]


def test_faces_are_resized_on_demand():
    store("synthetic-a", {"emotion": ["fear"] * 3})
    assert datasets.load("synthetic-a", size=16).images.shape == (3, 16, 16)
    assert datasets.load("synthetic-a", size=16).images[2].tolist() == [[2] * 16] * 16
    with pytest.raises(UsageError, match="size=2"):
        datasets.load("synthetic-a", size=2)


@pytest.mark.parametrize(
    ("column", "values", "word"),
    [
        ("emotion", ["joy", "fear"], "joy"),
        ("split", ["train", "Training"], "Training"),
        ("AU01", np.array([0, 7], np.float32), "AU01"),
        ("frame", np.array([0, -1], np.int32), "frame"),
        ("image", ["same", "same"], "same"),
    ],
)
def test_a_table_that_breaks_the_schema_is_refused(column, values, word):
    with pytest.raises(DataError, match=word):
        datasets.write_store("synthetic-a", faces_of(2), table_of(2).assign(**{column: values}), ABOUT)
    assert not datasets.is_prepared("synthetic-a")


@pytest.mark.parametrize(("n", "dtype"), [(1, np.uint8), (3, np.uint8), (2, np.int64)])
def test_images_that_do_not_fit_the_table_leave_no_store(n, dtype):
    with pytest.raises(DataError):
        datasets.write_store("synthetic-a", np.zeros((n, 8, 8), dtype), table_of(2), ABOUT)
    assert not paths.corpus("synthetic-a").exists()
    assert not list(paths.corpora().glob("*.tmp"))


def test_drawn_faces_never_take_a_real_name_nor_real_ones_a_drawn_name():
    with pytest.raises(DataError, match="synthetic-<name>"):
        datasets.write_store("fer2013", faces_of(2), table_of(2), {**ABOUT, "synthetic": True})
    with pytest.raises(DataError, match="synthetic-<name>"):
        datasets.write_store("synthetic-fer2013", faces_of(2), table_of(2), {**ABOUT, "synthetic": False})
    for bad in ("../up", "A", ""):
        with pytest.raises(DataError, match="Corpus name"):
            datasets.write_store(bad, faces_of(2), table_of(2), ABOUT)


def test_a_missing_corpus_names_the_next_command():
    with pytest.raises(DataError, match="ferlib corpus prepare ckplus --source"):
        datasets.load("ckplus")
    with pytest.raises(DataError, match="ferlib corpus make ckplus"):
        datasets.load("synthetic-ckplus")
    with pytest.raises(DataError, match="ferlib corpus prepare fer2013"):
        datasets.ensure("fer2013")


def test_wrong_parameters_name_the_nearest_right_one():
    store("synthetic-a", {"emotion": ["fear", "anger"], "split": ["train", "train"]})
    with pytest.raises(UsageError, match="Did you mean 'train'"):
        datasets.load("synthetic-a", split="trian")
    with pytest.raises(DataError, match="no 'test' images"):
        datasets.load("synthetic-a", split="test")
    with pytest.raises(UsageError, match="ferplus-majority"):
        datasets.load("synthetic-a", labels="ferplus-major")
    with pytest.raises(DataError, match="--votes"):
        datasets.load("synthetic-a", labels="ferplus-majority")
    with pytest.raises(DataError, match="duplicates"):
        datasets.load("synthetic-a", duplicates="drop-cross-split")
    store("synthetic-b", {"emotion": ["fear", "anger"]})
    assert len(datasets.load("synthetic-b", duplicates="drop-cross-split").images) == 2  # no splits to cross


def test_damage_is_found_by_reading_every_byte():
    place = datasets.write_store("synthetic-a", faces_of(4), table_of(4), ABOUT)
    assert datasets.verify_store("synthetic-a").exit_code(strict=True) == 0
    with (place / "images.npy").open("rb+") as file:
        file.seek(-3, os.SEEK_END)
        file.write(b"x")
    assert "digest" in datasets.verify_store("synthetic-a").text()
    (place / "images.npy").write_bytes(b"short")
    assert datasets.verify_store("synthetic-a").exit_code() == 1
    with pytest.raises(DataError, match="damaged"):
        datasets.load("synthetic-a")


WRITER = """
import numpy as np, pandas as pd, sys
from ferlib import datasets
n = 4000
for value in range(1, 200):
    if value == 2:
        print("ready", flush=True)  # what has to be imported, is
    table = pd.DataFrame({"image": [f"i{i}" for i in range(n)], "emotion": ["fear"] * n})
    about = {"synthetic": True, "licence": "none", "source": str(value)}
    datasets.write_store("synthetic-a", np.full((n, 24, 24), value, np.uint8), table, about)
"""


def test_a_killed_writer_leaves_the_old_store_or_the_new_one():
    rng = random.Random(0)
    seen = set()
    for _ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(rng.random() * 0.2)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        if datasets.is_prepared("synthetic-a"):
            faces = datasets.load("synthetic-a")
            assert set(np.unique(faces.images).tolist()) == {int(faces.manifest["source"])}
            assert datasets.verify_store("synthetic-a").exit_code() == 0
            seen.add(faces.manifest["source"])
    datasets.write_store("synthetic-a", faces_of(2), table_of(2), ABOUT)
    assert seen
    assert not [p for p in paths.corpora().iterdir() if p.name.endswith((".tmp", ".old"))]


def test_a_kill_between_the_two_renames_loses_nothing():
    datasets.write_store("synthetic-a", faces_of(2, 7), table_of(2), ABOUT)
    place = paths.corpus("synthetic-a")
    os.rename(place, keep.aside(place))
    assert datasets.load("synthetic-a").images[0, 0, 0] == 7
    listing.prune()
    assert place.is_dir()
    assert datasets.load("synthetic-a").images[0, 0, 0] == 7


def test_a_reader_is_not_disturbed_by_a_new_store():
    datasets.write_store("synthetic-a", faces_of(3, 1), table_of(3), ABOUT)
    before = datasets.load("synthetic-a")
    datasets.write_store("synthetic-a", faces_of(3, 2), table_of(3), ABOUT)
    assert int(before.images.max()) == 1
    assert int(datasets.load("synthetic-a").images.max()) == 2


def test_home_lists_sizes_and_prunes_only_what_is_left_over():
    datasets.write_store("synthetic-a", faces_of(2), table_of(2), ABOUT)
    left = paths.corpora() / ".synthetic-a.99999.tmp"
    left.mkdir()
    (left / "images.npy").write_bytes(b"x" * 5_000_000)
    assert "5.0" in listing.home()
    assert str(left) in listing.prune()
    assert not left.exists()
    assert datasets.is_prepared("synthetic-a")
    assert listing.prune() == "Nothing to prune."
    assert "synthetic-a" in listing.corpora()
    assert "ferlib corpus make ckplus" in listing.corpora()
