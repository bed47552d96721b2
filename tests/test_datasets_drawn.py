"""Drawn and real trees are read by the same reader; only their mark tells them apart."""

import importlib
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from native_stand_in import SIZES, flat_faces
from native_trees import casme2, ckplus, nova, samm, smic

from ferlib import datasets
from ferlib.datasets import megc
from ferlib.labels import CORPORA, DRAWN_AUS, EMOTIONS, au_columns, au_present
from ferlib.synthetic import native
from ferlib.synthetic.native.tree import write_tree

SCRIPTS = Path(__file__).parents[1] / "data_scripts"
BY_HAND = {"ckplus": ckplus, "novaemotions": nova, "casme2": casme2, "samm": samm, "smic": smic}
pytestmark = pytest.mark.usefixtures("own_home")


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    """Name -> a small tree as the rig writes it, with flat grey squares for faces, its reading, and its plan."""
    made = {}
    for name, size in SIZES.items():
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        plan = module.plan(size)
        tree = write_tree(tmp_path_factory.mktemp("drawn") / name, plan, module.write_labels, 1, flat_faces)
        reader = importlib.import_module(f"ferlib.datasets.{'folder' if name == 'probe' else name}")
        made[name] = tree, reader.read(tree, crop=False), plan
    return made


@pytest.fixture(scope="module")
def read_back(trees):
    return {name: (reading, plan) for name, (_, reading, plan) in trees.items()}


@pytest.mark.parametrize("name", SIZES)
def test_a_drawn_tree_has_no_problem_and_is_stored_as_drawn(trees, name):
    tree, reading, plan = trees[name]
    assert [str(problem) for problem in reading.report.problems] == []
    expected = {"casme2": ["offset 19 read as 91: a known erratum"]}.get(name, [])
    assert [finding.reason for finding in reading.report.notices] == expected
    place, _ = datasets.prepare(name, tree)
    assert place.name == f"synthetic-{name}"
    faces = datasets.load(f"synthetic-{name}")
    assert faces.synthetic is True
    assert faces.manifest["drawn"]["corpus"] == name
    assert faces.table["image"].tolist() == reading.table["image"].tolist()
    assert set(faces.table["image"]) <= set(pd.read_parquet(tree / "truth.parquet")["image"])
    assert faces.table["subject"].nunique() == plan.size.subjects


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
    for name in megc.OFFICIAL:
        module = importlib.import_module(f"ferlib.synthetic.native.{name}")
        monkeypatch.setitem(module.SIZES, "quick", SIZES[name])
    clips, report = megc.read_list(native.write_megc(tmp_path / "megc") / "combined_3class_gt.csv")
    assert report.problems == []
    for name in megc.OFFICIAL:
        table = read_back[name][0].table
        joined = megc.join(clips, table, name)
        in_list = table.loc[joined.notna(), ["subject", "sequence"]].drop_duplicates()
        assert len(in_list) == (clips["corpus"] == name).sum() > 0


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
