"""Trees on the disk: each layout with its quirks, whole or not there, the same for any number of workers."""

import hashlib
import json
import multiprocessing
import re
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from native_stand_in import SIZES, faces_then_death, faces_then_error, faces_then_silence, flat_faces

from ferlib.config import DataError, UsageError
from ferlib.labels import DRAWN_AUS, EMOTIONS
from ferlib.synthetic import native, workshop
from ferlib.synthetic.native import casme2, ckplus, novaemotions, probe, samm, smic
from ferlib.synthetic.native.plan import Format
from ferlib.synthetic.native.shots import set_into_frame
from ferlib.synthetic.native.tree import write_tree

MODULES = (casme2, ckplus, novaemotions, probe, samm, smic)
SMALL = {module: SIZES[module.__name__.rpartition(".")[2]] for module in MODULES}


def draw(module, out, workers=1, drawer=flat_faces, seed=0):
    return write_tree(out, module.plan(SMALL[module], seed), module.write_labels, workers, drawer)


def content(folder: Path) -> dict[str, str]:
    """Path -> digest of every file, and empty folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif not any(path.iterdir()):
            found[name + "/"] = "empty"
    return found


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """One small drawn tree of each layout, and its plan."""
    home = tmp_path_factory.mktemp("drawn")
    names = {module: module.__name__.split(".")[-1] for module in SMALL}
    return {name: (draw(module, home / name), module.plan(SMALL[module])) for module, name in names.items()}


@pytest.mark.parametrize("name", ["casme2", "ckplus", "novaemotions", "probe", "samm", "smic"])
def test_a_tree_is_marked_as_drawn_and_tells_the_truth_of_every_picture(trees, name):
    tree, plan = trees[name]
    mark = json.loads((tree / "DRAWN.json").read_text())
    assert (mark["corpus"], mark["synthetic"], mark["seed"]) == (name, True, 0)
    assert mark["settings"]["subjects"] == plan.size.subjects
    assert re.fullmatch(r"\d+\.\d+.*", mark["ferlib"])
    truth = pd.read_parquet(tree / "truth.parquet")
    pictures = {
        p.relative_to(tree).as_posix() for p in tree.rglob("*") if p.suffix in (".png", ".jpg", ".bmp")
    }
    assert set(truth["image"]) == pictures
    assert len(truth) == len(plan)
    sides = [f"{au}_{side}" for au in DRAWN_AUS for side in ("left", "right")]
    np.testing.assert_array_equal(truth[sides], plan.levels.reshape(len(plan), -1))
    assert {"subject", "person", "sequence", "frame", "yaw", "pitch", "roll", "x0", "y67"} <= set(truth)
    assert {"age", "monk_tone", "sex", "glasses"} <= set(truth)
    assert not truth.isna().any(axis=0).drop("emotion", errors="ignore").any()
    shape = cv2.imread(str(tree / truth["image"][0])).shape
    assert shape == (truth["height"][0], truth["width"][0], 3)
    assert truth["x67"].between(0, shape[1]).all()


# ---------------------------------------------------------------------------------------------- layouts


def test_ckplus_writes_codes_as_the_real_corpus_does(trees):
    tree, plan = trees["ckplus"]
    facs = sorted(tree.glob("FACS/S*/*/*_facs.txt"))
    assert len(facs) == 20
    line = r"   \d\.\d{7}e[+-]\d\d"
    for file in facs:
        assert re.fullmatch(rf"({line}{line}\n)+", file.read_text())
        frames = sorted((tree / "cohn-kanade-images" / file.parent.relative_to(tree / "FACS")).glob("*.png"))
        assert file.name == frames[-1].name.replace(".png", "_facs.txt")
        assert frames[0].name.endswith("_00000001.png")
        assert len(frames) == 5
    strengths = np.concatenate([np.loadtxt(file, ndmin=2)[:, 1] for file in facs])
    assert {0.0} < set(strengths) <= {0.0, 1.0, 2.0, 3.0, 4.0, 5.0}
    emotions = list(tree.glob("Emotion/S*/*/*_emotion.txt"))
    assert len(emotions) == 11  # 20 x 327/593
    coded = {f.name[:8]: EMOTIONS[int(float(f.read_text()))] for f in emotions}
    assert coded == plan.takes.dropna(subset="emotion").set_index("sequence")["emotion"].to_dict()
    assert all(re.fullmatch(rf"{line}\n", file.read_text()) for file in emotions)


def test_ckplus_has_empty_folders_missing_ones_and_droppings(trees):
    tree, _ = trees["ckplus"]
    sequences = {p.relative_to(tree / "FACS") for p in (tree / "FACS").glob("S*/*")}
    present = {p.relative_to(tree / "Emotion") for p in (tree / "Emotion").glob("S*/*")}
    empty = {p for p in present if not any((tree / "Emotion" / p).iterdir())}
    assert empty
    assert sequences - present
    assert (tree / "cohn-kanade-images" / ".DS_Store").is_file()


def test_ckplus_has_68_landmarks_of_every_frame_in_pixels_of_the_frame(trees):
    tree, plan = trees["ckplus"]
    files = sorted(tree.glob("Landmarks/S*/*/*_landmarks.txt"))
    assert len(files) == len(plan)
    points = np.loadtxt(files[0])
    assert points.shape == (68, 2)
    assert points[:, 0].min() > 60  # the square face stands in the middle of a wider frame
    assert points[:, 0].max() < 580
    image = cv2.imread(str(tree / plan.frames["file"][0]), cv2.IMREAD_UNCHANGED)
    assert image.ndim == 2
    assert image.shape in ((480, 640), (490, 640))


def test_casme2_workbook_has_blank_columns_unseen_apexes_and_one_wrong_offset(trees):
    tree, plan = trees["casme2"]
    sheet = pd.read_excel(tree / "CASME2-coding-20140508.xlsx", engine="calamine", header=None)
    assert sheet.iloc[0].fillna("").tolist() == list(casme2.HEADER)
    rows = sheet.iloc[1:]
    assert rows[[2, 6]].isna().all(axis=None)
    assert (rows[4] == "/").sum() == round(21 * 62 / 255)
    wrong = rows.index[rows[5].astype(int) < rows[3].astype(int)]
    assert wrong.tolist() == [61]
    for subject, name, onset, offset in rows[[0, 1, 3, 5]].drop(index=wrong).itertuples(index=False):
        frames = sorted(int(p.stem.removeprefix("reg_img"))
                        for p in (tree / "Cropped" / f"sub{int(subject):02d}" / name).glob("reg_img*.jpg"))  # fmt: skip
        assert (frames[0], frames[-1]) == (onset, offset)
    assert len(list(tree.glob("Cropped/sub01/*.lnk"))) == 1
    assert cv2.imread(str(tree / plan.frames["file"][0])).shape == (340, 280, 3)


def test_samm_workbook_has_its_header_on_row_14(trees):
    tree, plan = trees["samm"]
    sheet = pd.read_excel(tree / "SAMM_Micro_FACS_Codes_v2.xlsx", engine="calamine", header=None)
    assert sheet.iloc[13].tolist() == list(samm.HEADER)
    assert len(sheet) == 14 + 8
    assert sheet.iloc[14, 0] == "006"
    assert (sheet.iloc[14:, 6] == sheet.iloc[14:, 5] - sheet.iloc[14:, 3] + 1).all()
    assert all(re.fullmatch(r"(\d{3})/\1_\d+_\d+/\1_\d{5}\.jpg", file) for file in plan.frames["file"])
    assert cv2.imread(str(tree / plan.frames["file"][0]), cv2.IMREAD_UNCHANGED).ndim == 2


def test_smic_ids_are_not_padded_and_its_labels_are_its_folders(trees):
    tree, plan = trees["smic"]
    pattern = r"HS/(s\d+)/micro/(negative|positive|surprise)/\1_(ne|po|su)_\d\d/reg_image[1-9]\d*\.bmp"
    assert all(re.fullmatch(pattern, file) for file in plan.frames["file"])
    assert {p.suffix for p in tree.rglob("*") if p.is_file()} == {".bmp", ".json", ".parquet"}


def test_novaemotions_manifest_counts_votes(trees):
    tree, _ = trees["novaemotions"]
    table = pd.read_csv(tree / "manifest.csv")
    assert list(table) == ["path", "emotion", "subject", *(f"votes_{e}" for e in EMOTIONS)]
    assert all((tree / path).is_file() for path in table["path"])
    assert (table.filter(like="votes_").sum(axis=1) >= 2).all()


def test_probe_manifest_names_the_levels(trees):
    tree, plan = trees["probe"]
    table = pd.read_csv(tree / "manifest.csv")
    assert list(table) == ["path", "subject", *DRAWN_AUS[:-1]]  # all but the blink
    np.testing.assert_array_equal(table.filter(like="AU"), plan.levels.max(axis=2)[:, :-1])
    assert all((tree / path).is_file() for path in table["path"])


def test_the_composite_names_clips_that_lie_in_the_drawn_trees(tmp_path, monkeypatch):
    for module in (casme2, samm, smic):
        monkeypatch.setitem(module.SIZES, "quick", SMALL[module])
        draw(module, tmp_path / module.__name__.split(".")[-1])
    listed = native.write_megc(tmp_path / "megc") / "combined_3class_gt.csv"
    rows = [line.split(",") for line in listed.read_text().splitlines()]
    assert {row[0] for row in rows} == {"casme2", "smic", "samm"}
    for corpus, subject, clip, label in rows:
        number = int(subject.lstrip("sub"))
        folder = {
            "casme2": f"Cropped/{subject}/{clip}",
            "smic": f"HS/s{number}/micro/*/s{number}_{clip.split('_', 1)[1]}",
            "samm": f"{number:03d}/{clip}",
        }[corpus]
        assert len(list((tmp_path / corpus).glob(folder))) == 1, (corpus, subject, clip)
        assert label in "012"
    assert json.loads((tmp_path / "megc" / "DRAWN.json").read_text())["corpus"] == "megc"


# ------------------------------------------------------------------------------------------ determinism


@pytest.mark.parametrize("module", [casme2, ckplus, probe])
def test_a_tree_does_not_depend_on_the_number_of_workers(trees, tmp_path, module):
    reference, _ = trees[module.__name__.split(".")[-1]]
    assert content(draw(module, tmp_path / "two", workers=2)) == content(reference)


def test_another_seed_draws_another_tree(trees, tmp_path):
    other = content(draw(smic, tmp_path / "other", seed=1))
    assert other.keys() != content(trees["smic"][0]).keys()


def test_no_person_lives_in_two_corpora():
    from ferlib.synthetic.people import seeds_of

    names = ["fer2013", *(name for name in native.WRITERS if name != "megc")]
    seeds = np.concatenate([seeds_of(name, 0, np.arange(10_000)) for name in names])
    assert len(set(seeds.tolist())) == len(seeds)


# -------------------------------------------------------------------------------------- whole or not there


@pytest.mark.parametrize(
    ("drawer", "error", "said"),
    [
        (faces_then_error, RuntimeError, "out of paint"),
        (faces_then_death, DataError, "smic: a drawing process died"),
        (faces_then_silence, DataError, "smic: no drawing process finished anything in 1 s"),
    ],
)
def test_workers_that_fail_die_or_hang_are_named_and_leave_the_old_tree_and_nothing_else(
    tmp_path, monkeypatch, drawer, error, said
):
    before = content(draw(smic, tmp_path / "smic"))
    patience = workshop.STALLED_S
    monkeypatch.setattr(workshop, "STALLED_S", 1.0 if drawer is faces_then_silence else patience)
    with pytest.raises(error, match=said):
        draw(smic, tmp_path / "smic", workers=2, drawer=drawer, seed=1)
    monkeypatch.setattr(workshop, "STALLED_S", patience)
    assert not multiprocessing.active_children()
    assert content(tmp_path / "smic") == before
    assert {p.name for p in tmp_path.iterdir()} == {"smic"}
    assert content(draw(smic, tmp_path / "again", workers=2)) == before  # the pool recovers


def test_a_killed_writer_leaves_no_tree_and_the_next_one_makes_it_whole(trees, tmp_path):
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from native_stand_in import slow_faces
from test_native_trees import draw, smic
draw(smic, Path({str(tmp_path)!r}) / "smic", drawer=slow_faces)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as writer:
        deadline = time.monotonic() + 120
        while not any(tmp_path.rglob("*.bmp")):
            assert writer.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        writer.kill()
    assert not (tmp_path / "smic").exists()
    assert content(draw(smic, tmp_path / "smic")) == content(trees["smic"][0])
    assert {path.name for path in tmp_path.iterdir()} == {"smic"}


def test_what_a_killed_writer_left_is_swept_by_the_next(tmp_path):
    half = tmp_path / ".smic.12345.tmp" / "HS"
    half.mkdir(parents=True)
    (half / "x.bmp").write_bytes(b"half")
    tree = draw(smic, tmp_path / "smic")
    assert not half.exists()
    tree.rename(tmp_path / ".smic.old")  # killed between the two renames
    fresh = draw(smic, tmp_path / "smic", seed=1)
    assert (fresh / "DRAWN.json").is_file()
    assert not (tmp_path / ".smic.old").exists()


def test_photographs_are_never_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "face.png").write_bytes(b"a real face")
    with pytest.raises(DataError, match="not drawn"):
        draw(smic, tmp_path / "mine")
    assert (tmp_path / "mine" / "face.png").read_bytes() == b"a real face"


def test_an_unknown_size_is_refused_with_the_nearest_right_one(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'quick'"):
        native.write_smic(tmp_path / "smic", size="quik")
    assert not (tmp_path / "smic").exists()


# -------------------------------------------------------------------------------------------- the frame


def test_landmarks_follow_the_face_into_a_wider_a_narrower_and_a_larger_frame():
    image = np.zeros((40, 40, 3), np.uint8)
    image[10, 30] = 255
    point = np.array([[30.5, 10.5]])
    for form in (Format(120, 80), Format(60, 80), Format(40, 40)):
        framed, at = set_into_frame(image, point, form, 0.0, np.random.default_rng(0))
        assert framed.shape == (form.height, form.width, 3)
        y, x = np.unravel_index(framed[..., 0].argmax(), framed.shape[:2])
        assert abs(at[0, 0] - (x + 0.5)) <= 1
        assert abs(at[0, 1] - (y + 0.5)) <= 1


def test_sensor_noise_differs_between_frames_and_has_its_size():
    image = np.full((64, 64, 3), 128, np.uint8)
    frames = [set_into_frame(image, np.zeros((1, 2)), Format(64, 64), 0.02, np.random.default_rng(s))[0]
              for s in (0, 1)]  # fmt: skip
    assert frames[0].std() == pytest.approx(0.02 * 255, rel=0.1)
    assert not np.array_equal(*frames)
