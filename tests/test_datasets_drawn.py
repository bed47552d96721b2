"""Drawn and real trees are read by the same reader; only their mark tells them apart."""

import importlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from native_stand_in import flat_faces
from native_trees import casme2, ckplus, nova, samm, smic

from ferlib import datasets
from ferlib.datasets import megc
from ferlib.labels import CORPORA, EMOTIONS
from ferlib.synthetic import native
from ferlib.synthetic.native.plan import Size
from ferlib.synthetic.native.tree import write_tree

SCRIPTS = Path(__file__).parents[1] / "data_scripts"
BY_HAND = {"ckplus": ckplus, "novaemotions": nova, "casme2": casme2, "samm": samm, "smic": smic}
SMALL = {
    "ckplus": Size(subjects=4, takes=12, face_px=16),
    "novaemotions": Size(subjects=3, takes=12, face_px=16),
    "casme2": Size(subjects=3, takes=62, face_px=16, every=30),
    "samm": Size(subjects=3, takes=8, face_px=16, every=30),
    "smic": Size(subjects=3, takes=8, face_px=16, every=10),
    "probe": Size(subjects=3, takes=12, face_px=16),
}


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """A small tree of each layout as the rig writes it, with flat grey squares for faces, and its plan."""
    made = {}
    for name, size in SMALL.items():
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        plan = module.plan(size, 0)
        folder = tmp_path_factory.mktemp("drawn") / name
        made[name] = write_tree(folder, plan, module.write_labels, 1, flat_faces), plan
    return made


@pytest.mark.parametrize("name", SMALL)
def test_a_drawn_tree_has_no_problem_and_every_code_is_read_back(trees, name):
    tree, plan = trees[name]
    report = datasets.check(name, tree)
    assert report.problems == []
    place, _ = datasets.prepare(name, tree)
    assert place.name == f"synthetic-{name}"
    faces = datasets.load(f"synthetic-{name}")
    assert faces.synthetic is True
    assert faces.manifest["drawn"]["corpus"] == name
    truth = pd.read_parquet(tree / "truth.parquet").set_index("image")
    read = faces.table.set_index("image")
    assert set(read.index) <= set(truth.index)
    assert len(set(read["subject"])) == plan.size.subjects


def test_drawn_ckplus_says_what_was_drawn(trees):
    tree, plan = trees["ckplus"]
    datasets.prepare("ckplus", tree)
    table = datasets.load("synthetic-ckplus").table
    last = table.groupby("sequence").last()
    takes = plan.takes.set_index("sequence")
    assert last["emotion"].fillna("").to_dict() == takes["emotion"].fillna("").to_dict()
    for sequence, take in takes.iterrows():
        for number, strength in take["facs"].items():
            assert last.loc[sequence, f"AU{number:02d}"] == (strength or 6)
    aus = [c for c in table if c.startswith("AU")]
    assert (last[aus] > 0).to_numpy().sum() == sum(len(facs) for facs in takes["facs"])


def test_drawn_clips_say_what_was_drawn_erratum_included(trees):
    tree, plan = trees["casme2"]
    report = datasets.check("casme2", tree)
    assert "a known erratum" in report.text()
    datasets.prepare("casme2", tree)
    table = datasets.load("synthetic-casme2").table
    clips = table.groupby(["subject", "sequence"]).first()
    assert len(clips) == len(plan.takes) == 62
    for take in plan.takes.itertuples():
        clip = clips.loc[(f"sub{take.subject}", take.sequence)]
        assert (clip["onset"], clip["offset"], clip["label"]) == (take.onset, take.offset, take.emotion)
        assert clip["au_codes"] == take.codes
    assert sum(clips["apex"].isna()) == sum(plan.takes["coded_apex"] == "/")


def test_drawn_votes_are_read_back(trees):
    tree, plan = trees["novaemotions"]
    datasets.prepare("novaemotions", tree)
    table = datasets.load("synthetic-novaemotions").table
    votes = table[[f"votes_{emotion}" for emotion in EMOTIONS]].to_numpy()
    np.testing.assert_array_equal(votes, plan.takes[list(EMOTIONS)].to_numpy())
    assert table["emotion"].tolist() == plan.takes["emotion"].tolist()


def test_the_drawn_composite_joins_the_drawn_clips(tmp_path):
    listed, report = megc.read_list(native.write_megc(tmp_path / "megc") / "combined_3class_gt.csv")
    assert report.problems == []
    for name in megc.OFFICIAL:
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        takes = module.plan(module.SIZES["quick"], 0).takes
        subject = ("sub" if name == "casme2" else "") + takes["subject"]
        sequence = takes["sequence"]
        if name == "smic":
            number = takes["subject"].str[1:].astype(int)
            subject = number.map("s{:02d}".format)
            sequence = subject + "_" + takes["sequence"].str.split("_", n=1).str[1]
        joined = megc.join(listed, pd.DataFrame({"subject": subject, "sequence": sequence}), name)
        assert joined.notna().sum() == (listed["corpus"] == name).sum() > 0


@pytest.mark.parametrize("name", BY_HAND)
def test_a_marked_tree_is_stored_as_drawn_and_never_as_the_real_corpus(tmp_path, name):
    tree = BY_HAND[name](tmp_path / name)
    (tree / "DRAWN.json").write_text(json.dumps({"seed": 1}))
    for _ in range(2):
        place, _ = datasets.prepare(name, tree, skip_bad=True)
        assert place.name == f"synthetic-{name}"
    assert not datasets.is_prepared(name)
    (tree / "DRAWN.json").unlink()
    assert datasets.prepare(name, tree)[0].name == name
    assert datasets.load(name).synthetic is False


@pytest.mark.parametrize("name", CORPORA)
def test_there_is_a_thin_script_a_corpus(tmp_path, name, monkeypatch, capsys):
    script = SCRIPTS / f"prepare_{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--source", str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(script), run_name="__main__")
    assert stopped.value.code == 1
    assert str(tmp_path / "nowhere") in capsys.readouterr().err
    assert f"`{name}`" in (SCRIPTS / "README.md").read_text()
