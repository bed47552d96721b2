"""CK+: first frame neutral, last three labelled; every damage is listed and none crashes."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_trees import ckplus, landmarks, picture, text

from ferlib import datasets, labels
from ferlib.config import DataError
from ferlib.datasets.ckplus import read

IMAGES = "cohn-kanade-images"
pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture
def tree(tmp_path):
    return ckplus(tmp_path / "ckplus")


def problems(tree) -> list[str]:
    return [str(problem) for problem in datasets.check("ckplus", tree).problems]


def test_first_frame_is_neutral_and_the_last_three_carry_label_and_codes(tree):
    _, report = datasets.prepare("ckplus", tree)
    assert report.problems == []
    table = datasets.load("ckplus").table
    happy = table[table["sequence"] == "S005_001"]
    assert happy["frame"].tolist() == [1, 3, 4, 5]
    assert happy["n_frames"].tolist() == [5] * 4
    assert happy["emotion"].tolist() == ["neutral", "happiness", "happiness", "happiness"]
    assert happy["AU12"].tolist() == [0, 2, 2, 2]
    assert happy["AU25"].tolist() == [0, 6, 6, 6]  # strength 0 in the file: present, strength unknown
    assert happy["AU04"].tolist() == [0, 0, 0, 0]  # coded elsewhere in the corpus, absent here
    assert np.isnan(labels.au_level(happy, ["AU25"])[1:]).all()
    assert labels.au_present(happy, ["AU25"])[:, 0].tolist() == [0, 1, 1, 1]
    assert set(table["subject"]) == {"S005", "S010"}


def test_a_sequence_of_two_frames_gives_two_rows_and_one_without_labels_none(tree):
    datasets.prepare("ckplus", tree)
    table = datasets.load("ckplus").table
    assert table[table["sequence"] == "S010_001"]["emotion"].tolist() == ["neutral", "anger"]
    unlabelled = table[table["sequence"] == "S010_002"]
    assert unlabelled["emotion"].isna().all()
    assert unlabelled["AU12"].isna().all()
    assert len(datasets.load("ckplus").labelled()) == 6


def test_faces_are_aligned_by_the_landmarks_of_their_frame(tree):
    datasets.prepare("ckplus", tree)
    faces = datasets.load("ckplus")
    assert faces.images.shape == (10, 96, 96)
    assert set(faces.table["crop"]) == {"landmarks"}


def test_counts_that_differ_from_the_release_are_notices(tree):
    report = datasets.check("ckplus", tree)
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)
    assert "3 sequences; the official release has 593" in report.text()
    assert report.counts["labelled people"] == 2
    assert report.counts["peaks with AU12"] == 1
    (tree / "DRAWN.json").write_text("{}")
    assert datasets.check("ckplus", tree).exit_code(strict=True) == 0


LAST, SECOND = "S005/001/S005_001_00000005", f"{IMAGES}/S005/001/S005_001_00000002.png"
PICTURE, EYES = f"{IMAGES}/{LAST}.png", f"Landmarks/{LAST}_landmarks.txt"
LABEL, CODES = f"Emotion/{LAST}_emotion.txt", f"FACS/{LAST}_facs.txt"
DAMAGES = {
    "S005_001_00000002_landmarks.txt: its picture S005_001_00000002.png is missing": (SECOND, None),
    "S005/001: frame 2 is missing": (SECOND, None),
    "emotion.txt: is not of the last frame": (PICTURE, None),
    "00000005.png: unreadable or truncated": (
        PICTURE,
        lambda file: file.write_bytes(file.read_bytes()[:500]),
    ),
    "00000005.png: empty file": (PICTURE, ""),
    "00000005.png: not a picture": (PICTURE, "x"),
    "frame 5 is there twice": (f"{IMAGES}/S005/001/S005_001_5.png", picture),
    "line 1: 'happy' is not numbers": (LABEL, "happy"),
    "unknown emotion 8": (LABEL, "8.0"),
    "unknown emotion 2.5": (LABEL, "2.5"),
    "not one number": (LABEL, "1 2"),
    "line 1: 'nan' is not finite": (LABEL, "nan"),
    "emotion.txt: empty file": (LABEL, ""),
    "facs.txt: line 1: AU 120 is out of range": (CODES, "120 2"),
    "line 2: strength 7 is out of range": (CODES, "12 2\n25 7"),
    "line 2: AU 12 is there twice": (CODES, "12 2\n12 3"),
    "3 numbers instead of an AU and its strength": (CODES, "1 2 3"),
    "landmarks.txt: 1 rows instead of 68": (EYES, "1 2"),
    "00000005.png: its landmarks put the eyes at [[5.0, 5.0], [6.0, 5.0]]": (EYES, landmarks((5, 5), (6, 5))),
    "its landmarks put the eyes at [[5.0, 5.0], [1e+20, 5.0]]": (EYES, landmarks((5, 5), (1e20, 5))),
    "the same person as S005, in another spelling": (f"{IMAGES}/s5/001/S005_001_00000001.png", picture),
    "its sequence has no pictures": ("Emotion/S099/001/S099_001_00000005_emotion.txt", "1"),
    "a link out of the tree": (f"{IMAGES}/S005/009", lambda place: place.symlink_to("/usr")),
}
"""What the check says -> the file that is damaged, and what it holds then, is done to it, or None: it is gone."""


def damage(tree, reason):
    file, what = tree / DAMAGES[reason][0], DAMAGES[reason][1]
    file.unlink() if what is None else text(file, what) if isinstance(what, str) else what(file)


@pytest.mark.parametrize("reason", DAMAGES)
def test_a_damage_is_listed_with_its_file(tree, reason):
    damage(tree, reason)
    found = problems(tree)
    assert any(reason in problem for problem in found), found
    with pytest.raises(DataError, match="nothing was stored"):
        datasets.prepare("ckplus", tree)
    datasets.prepare("ckplus", tree, skip_bad=True)
    assert len(datasets.load("ckplus")) >= 6


def test_all_damages_together_are_all_listed(tree):
    chosen = ["S005/001: frame 2 is missing", "AU 120", "'happy'", "another spelling", "no pictures"]
    for reason in DAMAGES:
        if any(part in reason for part in chosen):
            damage(tree, reason)
    found = "\n".join(problems(tree))
    assert all(part in found for part in chosen), found


def test_three_gigabytes_where_a_label_should_be_are_not_read(tree):
    with (tree / "Emotion/S005/001/S005_001_00000005_emotion.txt").open("wb") as sparse:
        sparse.truncate(3 << 30)
    assert any("3,221,225,472 bytes" in problem for problem in problems(tree))


def test_strangers_are_notices(tree):
    text(tree / IMAGES / "S005" / "001" / "notes.txt", "x")
    (tree / IMAGES / "readme").mkdir()
    text(tree / "FACS/S005/001/S005_001_00000005_facs.txt", "12 2\n64 0")
    told = datasets.check("ckplus", tree).text()
    assert "notice: cohn-kanade-images/S005/001/notes.txt: not a frame of this corpus" in told
    assert "notice: cohn-kanade-images/readme: not a person's folder" in told
    assert "AU 64: not used by this book" in told


def test_names_that_are_not_utf8_and_loops_of_links_are_survived(tree):
    (tree / IMAGES / "S005" / os.fsdecode(b"00\xff")).mkdir()
    picture(tree / IMAGES / "S005" / os.fsdecode(b"00\xff") / "S005_003_00000001.png")
    (tree / IMAGES / "S006").symlink_to(tree / IMAGES / "S007")
    (tree / IMAGES / "S007").symlink_to(tree / IMAGES / "S006")
    told = datasets.check("ckplus", tree).text()
    assert "a name with characters that cannot be printed" in told
    told.encode("utf-8")


def test_a_folder_that_is_something_else_is_said(tmp_path):
    with pytest.raises(DataError, match="cohn-kanade-images"):
        datasets.check("ckplus", tmp_path)


@settings(max_examples=100, deadline=None)
@given(
    branch=st.sampled_from(["Emotion/{}_emotion.txt", "FACS/{}_facs.txt", "Landmarks/{}_landmarks.txt"]),
    content=st.binary(max_size=80) | st.text("0123456789.e+- \n", max_size=80).map(str.encode),
)
def test_no_label_file_makes_the_check_crash(tmp_path_factory, branch, content):
    tree = tmp_path_factory.mktemp("ck")
    picture(tree / IMAGES / "S005/001/S005_001_00000001.png", 16, 16)
    text(tree / branch.format("S005/001/S005_001_00000001"), "").write_bytes(content)
    reading = read(tree)
    assert len(reading.table) <= 1
