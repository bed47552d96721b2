"""The loaders of the real corpora read the drawn trees, find nothing wrong, and get back what was planned."""

import importlib

import numpy as np
import pandas as pd
import pytest
from native_stand_in import flat_faces

from ferlib import datasets
from ferlib.datasets import megc as megc_list
from ferlib.labels import DRAWN_AUS, EMOTIONS, au_columns, au_present
from ferlib.synthetic import native
from ferlib.synthetic.native.plan import Size
from ferlib.synthetic.native.tree import write_tree

SIZES = {
    "casme2": Size(subjects=3, takes=62, face_px=16, every=30),
    "ckplus": Size(subjects=6, takes=20, face_px=16),
    "novaemotions": Size(subjects=3, takes=12, face_px=16),
    "probe": Size(subjects=3, takes=12, face_px=16),
    "samm": Size(subjects=3, takes=8, face_px=16, every=30),
    "smic": Size(subjects=3, takes=8, face_px=16, every=10),
}


@pytest.fixture(scope="module")
def read_back(tmp_path_factory):
    """Name -> the reading of its drawn tree, and its plan."""
    home = tmp_path_factory.mktemp("drawn")
    found = {}
    for name, size in SIZES.items():
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        plan = module.plan(size)
        tree = write_tree(home / name, plan, module.write_labels, 1, flat_faces)
        reader = importlib.import_module(f"ferlib.datasets.{'folder' if name == 'probe' else name}")
        found[name] = reader.read(tree, crop=False), plan
    return found


@pytest.mark.parametrize("name", list(SIZES))
def test_the_reader_finds_every_person_and_nothing_wrong(read_back, name):
    reading, plan = read_back[name]
    assert [str(problem) for problem in reading.report.problems] == []
    assert reading.table["subject"].nunique() == plan.size.subjects
    expected = {"casme2": ["offset 19 read as 91: a known erratum"]}.get(name, [])
    assert [finding.reason for finding in reading.report.notices] == expected


def test_ckplus_labels_and_codes_come_back(read_back):
    reading, plan = read_back["ckplus"]
    table = reading.table
    assert len(table) == 4 * len(plan.takes)  # neutral and the last three
    peaks = table.groupby("sequence").last()
    planned = plan.takes.set_index("sequence")
    assert peaks["emotion"].dropna().to_dict() == planned["emotion"].dropna().to_dict()
    for sequence, facs in planned["facs"].items():
        coded = peaks.loc[sequence, au_columns(table)]
        assert {int(name[2:]): level for name, level in coded.items() if level > 0} == {
            number: strength or 6 for number, strength in facs.items()
        }
    first = table.groupby("sequence").first()
    assert (au_present(first) == 0).all()


@pytest.mark.parametrize("name", ["casme2", "samm"])
def test_clips_come_back_with_onset_apex_offset_and_codes(read_back, name):
    reading, plan = read_back[name]
    table = reading.table
    assert len(table) == len(plan)
    read = table.groupby(["subject", "sequence"]).first()
    for take in plan.takes.itertuples():
        row = read.loc[f"sub{take.subject}" if name == "casme2" else take.subject, take.sequence]
        assert (row["onset"], row["offset"]) == (take.onset, take.offset)
        unseen = getattr(take, "coded_apex", None) == "/"
        assert pd.isna(row["apex"]) if unseen else row["apex"] == take.apex
        assert row["label"] == take.emotion.lower()
        assert row["au_codes"] == take.codes
        assert row["fps"] == 200


def test_what_smic_and_the_votes_say_comes_back(read_back):
    reading, plan = read_back["smic"]
    labels = reading.table.groupby("sequence")["label"].first()
    padded = "s" + plan.takes["subject"].str[1:].str.zfill(2)
    names = padded + "_" + plan.takes["sequence"].str.split("_", n=1).str[1]
    assert labels.to_dict() == dict(zip(names, plan.takes["emotion"], strict=True))
    reading, plan = read_back["novaemotions"]
    votes = reading.table[[f"votes_{emotion}" for emotion in EMOTIONS]]
    np.testing.assert_array_equal(votes, plan.takes[list(EMOTIONS)])
    assert reading.table["emotion"].tolist() == plan.takes["emotion"].tolist()


def test_the_levels_of_the_probe_come_back(read_back):
    reading, plan = read_back["probe"]
    np.testing.assert_array_equal(reading.table[list(DRAWN_AUS[:-1])], plan.levels.max(axis=2)[:, :-1])
    assert "emotion" not in reading.table


def test_the_composite_joins_with_what_was_read(read_back, tmp_path, monkeypatch):
    for name in megc_list.OFFICIAL:
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        monkeypatch.setitem(module.SIZES, "quick", SIZES[name])
    clips, report = megc_list.read_list(native.write_megc(tmp_path / "megc") / "combined_3class_gt.csv")
    assert report.problems == []
    for name in megc_list.OFFICIAL:
        table = read_back[name][0].table
        joined = megc_list.join(clips, table, name)
        in_list = table.loc[joined.notna(), ["subject", "sequence"]].drop_duplicates()
        assert len(in_list) == (clips["corpus"] == name).sum() > 0


def test_a_drawn_tree_is_stored_as_synthetic_and_never_as_the_real_corpus(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))
    module = importlib.import_module("ferlib.synthetic.native.probe")
    tree = write_tree(tmp_path / "probe", module.plan(SIZES["probe"]), module.write_labels, 1, flat_faces)
    stored = datasets.prepare("probe", tree)[0]
    assert stored.name == "synthetic-probe"
    faces = datasets.load("synthetic-probe")
    assert faces.synthetic
    assert len(faces) == 12
