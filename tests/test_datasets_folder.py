"""Your own folders and manifests, NovaEmotions and the probe, all by one reader."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_trees import nova, picture, text

from ferlib import datasets
from ferlib.config import DataError, UsageError
from ferlib.datasets import folder

pytestmark = pytest.mark.usefixtures("own_home")


def problems(source) -> list[str]:
    return [str(problem) for problem in datasets.check("folder", source).problems]


def test_a_folder_an_emotion_is_read_by_its_name(tmp_path):
    for word in ("happy", "Anger", "sad"):
        picture(tmp_path / "mine" / word / "a.png", 40, 40)
    text(tmp_path / "mine" / "happy" / ".DS_Store", "x")
    datasets.prepare("folder-mine", tmp_path / "mine")
    table = datasets.load("folder-mine").table
    assert dict(zip(table["image"], table["emotion"], strict=True)) == {
        "Anger/a.png": "anger", "happy/a.png": "happiness", "sad/a.png": "sadness",
    }  # fmt: skip
    assert "subject" not in table
    assert "split" not in table


def test_splits_may_stand_above_the_emotions(tmp_path):
    for split in ("train", "valid", "test"):
        picture(tmp_path / split / "fear" / "a.png", 40, 40)
    datasets.prepare("folder", tmp_path)
    assert datasets.load("folder").table["split"].tolist() == ["test", "train", "val"]


def test_a_manifest_says_emotion_person_votes_and_aus(tmp_path):
    datasets.prepare("novaemotions", nova(tmp_path / "nova"))
    faces = datasets.load("novaemotions")
    assert faces.table["emotion"].tolist()[:3] == ["happiness", "anger", "surprise"]
    assert faces.table["emotion"].isna().tolist() == [False, False, False, True]
    assert faces.subjects.tolist() == ["p1", "p1", "p2", "p3"]
    assert faces.table["votes_anger"].tolist() == [0, 2, 4, 6]
    assert faces.table["AU12"].tolist()[:3] == [0, 1, 2]
    assert np.isnan(faces.table["AU12"].iloc[3])
    assert datasets.check("novaemotions", tmp_path / "nova" / "manifest.csv").problems == []


def test_square_pictures_are_kept_whole_and_others_without_a_face_are_reported_not_lost(tmp_path):
    picture(tmp_path / "happy" / "square.png", 40, 40)
    picture(tmp_path / "happy" / "wide.png", 80, 40)
    _, report = datasets.prepare("folder", tmp_path)
    table = datasets.load("folder").table
    assert dict(zip(table["image"], table["crop"], strict=True)) == {
        "happy/square.png": "whole", "happy/wide.png": "frame",
    }  # fmt: skip
    assert "no face found in happy/wide.png" in report.text()


BAD_ROWS = {
    "images/9.png: missing": "images/9.png,happy,p1,1,1,1",
    "../up.png: a link out of the tree": "../up.png,happy,p1,1,1,1",
    "/etc/hostname: a link out of the tree": "/etc/hostname,happy,p1,1,1,1",
    "unknown emotion '3'": "images/0.png,3,p1,1,1,1",
    "votes_happiness 'x' is not a number of votes": "images/0.png,happy,p1,x,1,1",
    "votes_anger '99999' is not a number of votes": "images/0.png,happy,p1,1,99999,1",
    "AU12 '7' is not 0 to 6": "images/0.png,happy,p1,1,1,7",
    "5 fields instead of 6": "images/0.png,happy,p1,1,1",
    "no path": ",happy,p1,1,1,1",
    "images/0.png is there twice, first in line 2": "images/0.png,happy,p1,1,1,1",
    "person 'P01' is 'p1' in another spelling": "images/new.png,happy,P01,1,1,1",
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_is_named_with_its_line(tmp_path, reason):
    tree = nova(tmp_path / "nova")
    picture(tree / "images" / "new.png", 40, 40)
    picture(tmp_path / "up.png", 40, 40)
    with (tree / "manifest.csv").open("a") as manifest:
        manifest.write(BAD_ROWS[reason] + "\n")
    (found,) = problems(tree)
    assert found.startswith(f"manifest.csv:6: {reason}")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ("file,emotion", "no column 'path'"), ("path,emotion,Emotion", "column 'emotion' is there twice"),
        ("path,happy,votes_happiness", "column 'votes_happiness' is there twice"), ("", "empty file"),
    ],
)  # fmt: skip
def test_a_wrong_header_is_a_problem(tmp_path, header, reason):
    text(tmp_path / "manifest.csv", header)
    assert reason in problems(tmp_path)[0]


def test_unknown_columns_are_notices_and_unknown_folders_problems(tmp_path):
    picture(tmp_path / "a" / "happy" / "x.png", 40, 40)
    text(tmp_path / "a" / "manifest.csv", "path,emotion,mood\nhappy/x.png,happy,fine\n")
    assert "column 'mood' means nothing here" in datasets.check("folder", tmp_path / "a").text()
    picture(tmp_path / "b" / "happy" / "x.png", 40, 40)
    picture(tmp_path / "b" / "hungry" / "x.png", 40, 40)
    assert "hungry: not an emotion" in problems(tmp_path / "b")[0]
    (tmp_path / "c").mkdir()
    with pytest.raises(DataError, match=r"neither manifest\.csv nor a folder an emotion"):
        datasets.check("folder", tmp_path / "c")
    with pytest.raises(DataError, match="does not exist"):
        datasets.check("folder", tmp_path / "nowhere")


def test_three_gigabytes_of_manifest_are_not_read(tmp_path):
    with (tmp_path / "manifest.csv").open("wb") as sparse:
        sparse.truncate(3 << 30)
    assert "3,221,225,472 bytes" in problems(tmp_path)[0]


def test_the_probe_is_always_drawn(tmp_path):
    picture(tmp_path / "images" / "x.png", 96, 96)
    text(tmp_path / "manifest.csv", "path,subject,AU01,AU12\nimages/x.png,P001,0,5\n")
    with pytest.raises(DataError, match="ferlib corpus make probe"):
        datasets.prepare("probe", tmp_path)
    text(tmp_path / "DRAWN.json", "{}")
    datasets.prepare("probe", tmp_path)
    faces = datasets.load("synthetic-probe")
    assert faces.table[["AU01", "AU12"]].to_numpy().tolist() == [[0, 5]]
    assert "emotion" not in faces.table
    assert faces.emotions == ()


def test_folder_corpora_have_names_of_their_own_but_not_any(tmp_path):
    with pytest.raises(UsageError, match="No corpus 'mine'"):
        datasets.prepare("mine", tmp_path)


@settings(max_examples=150, deadline=None)
@given(
    header=st.sampled_from([b"path,emotion,subject\n", b"path,AU12,votes_fear,split\n", b""]),
    content=st.binary(max_size=200) | st.text('ab/.,"\nhapyS501', max_size=200).map(str.encode),
)
def test_no_manifest_makes_the_check_crash(tmp_path_factory, header, content):
    file = tmp_path_factory.mktemp("manifest") / "manifest.csv"
    file.write_bytes(header + content)
    folder.read(file, crop=False)
