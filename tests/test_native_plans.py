"""At full size a plan has the official counts, before a face is drawn; a smaller one has them scaled."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from ferlib.config import UsageError
from ferlib.labels import DRAWN_AUS, EMOTIONS
from ferlib.synthetic import native
from ferlib.synthetic.native import casme2, ckplus, clips, megc, novaemotions, probe, samm, smic
from ferlib.synthetic.native.plan import apportion, peak_of

MODULES = {"ckplus": ckplus, "novaemotions": novaemotions, "casme2": casme2, "samm": samm, "smic": smic,
           "probe": probe}  # fmt: skip


@pytest.fixture(scope="module")
def full():
    return {
        name: module.plan(module.SIZES["full"]) for name, module in MODULES.items() if name != "novaemotions"
    }


def counts(column):
    return column.value_counts().to_dict()


# FIELD.md, section 2; the numbers are written out here once more on purpose.


def test_ckplus_has_593_sequences_of_123_people_and_327_labels_of_118(full):
    takes = full["ckplus"].takes
    labelled = takes[takes["emotion"].notna()]
    assert (len(takes), takes["subject"].nunique()) == (593, 123)
    assert (len(labelled), labelled["subject"].nunique()) == (327, 118)
    assert counts(labelled["emotion"]) == {
        "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28,
        "surprise": 83,
    }  # fmt: skip
    assert not labelled.duplicated(["subject", "emotion"]).any()


def test_ckplus_codes_each_au_as_often_as_the_real_corpus(full):
    official = {1: 173, 2: 116, 4: 191, 5: 102, 6: 122, 7: 119, 9: 74, 10: 21, 11: 33, 12: 111, 15: 89,
                16: 24, 17: 196, 18: 9, 20: 77, 23: 59, 24: 57, 25: 287, 26: 48, 27: 81, 28: 1, 43: 9}  # fmt: skip
    coded = Counter(number for facs in full["ckplus"].takes["facs"] for number in facs)
    assert coded.pop(14) in range(29, 33)  # the 327 labelled peaks alone have 32
    assert coded == official


def test_ckplus_labelled_peaks_show_the_au_combinations_of_the_real_table(full):
    from ferlib.synthetic.expressions import ckplus_combinations

    table = ckplus_combinations()
    rows = zip(table["emotion"], table["aus"].astype(str), table["count"], strict=True)
    real = {(emotion, tuple(int(n) for n in aus.split("+"))): k for emotion, aus, k in rows}
    takes = full["ckplus"].takes.dropna(subset="emotion")
    drawn = Counter((e, tuple(sorted(facs))) for e, facs in zip(takes["emotion"], takes["facs"], strict=True))
    assert drawn == Counter(real)


def test_ckplus_sequences_have_10_to_60_frames_from_rest_to_what_is_coded(full):
    plan = full["ckplus"]
    sizes = plan.frames.groupby("take").size()
    assert sizes.between(10, 60).all()
    assert sizes.mean() == pytest.approx(10_708 / 593, rel=0.05)
    first = np.r_[0, plan.last_frames[:-1] + 1]
    assert (plan.levels[first] == 0).all()
    peaks = plan.levels[plan.last_frames].max(axis=2)
    for peak, facs in zip(peaks, plan.takes["facs"], strict=True):
        assert {int(DRAWN_AUS[u][2:]) for u in np.flatnonzero(peak > 0)} == set(facs)
        for number, strength in facs.items():
            level = peak[DRAWN_AUS.index(f"AU{number:02d}")]
            assert strength == 0 or round(float(level)) == strength


def test_ckplus_has_grey_and_colour_frames_of_two_sizes(full):
    takes = full["ckplus"].takes
    assert set(takes["width"]) == {640}
    assert set(takes["height"]) == {480, 490}
    by_person = takes.groupby("subject")["colour"].agg(["min", "max"])
    assert (by_person["min"] == by_person["max"]).all()
    assert 0 < by_person["max"].sum() < 15


def test_casme2_has_255_clips_of_26_people(full):
    takes = full["casme2"].takes
    assert (len(takes), takes["subject"].nunique()) == (255, 26)
    assert counts(takes["emotion"]) == {
        "others": 99, "disgust": 63, "happiness": 32, "repression": 27, "surprise": 25, "sadness": 7,
        "fear": 2,
    }  # fmt: skip
    frames = takes["offset"] - takes["onset"] + 1
    assert (frames.min(), frames.median(), frames.max()) == (31, 66, 126)
    assert (takes["coded_apex"] == "/").sum() == 21
    assert (takes["coded_offset"] != takes["offset"]).to_numpy().nonzero()[0].tolist() == [60]
    assert takes["offset"][60] == 91
    assert not takes.duplicated(["subject", "sequence"]).any()


def test_casme2_aus_are_weak_and_sometimes_one_sided(full):
    plan = full["casme2"]
    blink = DRAWN_AUS.index("AU45")
    assert np.delete(plan.levels, blink, axis=1).max() < 2.7
    assert (plan.levels[:, blink].max(axis=1) > 4).any()
    one_sided = plan.takes["codes"].str.contains("[LR]", regex=True).mean()
    assert 0.05 < one_sided < 0.3
    assert plan.takes["codes"].str.fullmatch(r"[LR]?\d+(\+[LR]?\d+)*").all()
    assert np.abs(plan.drift).max() > 0.5


def test_smic_has_164_clips_of_16_people_and_samm_159_of_29(full):
    takes = full["smic"].takes
    assert (len(takes), takes["subject"].nunique()) == (164, 16)
    assert counts(takes["emotion"]) == {"negative": 70, "positive": 51, "surprise": 43}
    assert takes["sequence"].is_unique
    takes = full["samm"].takes
    assert (len(takes), takes["subject"].nunique()) == (159, 29)
    assert counts(takes["emotion"]) == {
        "Anger": 57, "Happiness": 26, "Other": 26, "Surprise": 15, "Contempt": 12, "Disgust": 9, "Fear": 8,
        "Sadness": 6,
    }  # fmt: skip
    assert takes["sequence"].is_unique
    assert set(takes["objective"]) == set(range(1, 8))


def test_the_composite_has_442_clips_of_68_people():
    table = megc.composite("full")
    people = table.groupby("corpus")["subject"].nunique().to_dict()
    classes = {c: counts(t["label"]) for c, t in table.groupby("corpus")}
    assert classes == {
        "casme2": {0: 88, 1: 32, 2: 25},
        "smic": {0: 70, 1: 51, 2: 43},
        "samm": {0: 92, 1: 26, 2: 15},
    }
    assert people == {"casme2": 24, "smic": 16, "samm": 28}


@pytest.mark.parametrize("name", ["casme2", "samm", "smic"])
def test_stored_frames_of_a_clip_run_from_onset_to_offset_over_the_apex(name):
    module = MODULES[name]
    plan = module.plan(module.SIZES["quick"])
    for i, numbers in plan.frames.groupby("take")["number"]:
        take = plan.takes.loc[i]
        assert (numbers.iloc[0], numbers.iloc[-1]) == (take["onset"], take["offset"])
        assert take["apex"] in numbers.to_numpy()
        assert numbers.diff().dropna().between(1, module.SIZES["quick"].every).all()
    assert plan.frames["file"].is_unique


def test_novaemotions_has_several_judgments_a_picture_that_are_mostly_right():
    size = novaemotions.SIZES["full"]
    assert (size.subjects, size.takes) == (40, 42_911)
    takes = novaemotions.plan(native.scaled(size, n_subjects=40, n_images=8_000)).takes
    votes = takes[list(EMOTIONS)].to_numpy()
    assert (len(takes), takes["subject"].nunique()) == (8_000, 40)
    assert votes.sum() / 8_000 == pytest.approx(229_584 / 42_911, rel=0.02)
    assert votes.sum(axis=1).min() >= 2
    assert (takes["emotion"] == takes["acted"]).mean() == pytest.approx(0.90, abs=0.03)
    winner = np.array(EMOTIONS)[votes.argmax(axis=1)]
    assert ((winner == takes["emotion"]) | (votes.max(axis=1) == votes[np.arange(len(votes)), [
        EMOTIONS.index(e) for e in takes["emotion"]]])).all()  # fmt: skip
    sad_as_fear = votes[takes["acted"] == "sadness"].sum(axis=0)
    assert sad_as_fear[EMOTIONS.index("fear")] > 2 * sad_as_fear[EMOTIONS.index("happiness")]


def test_in_the_probe_no_au_goes_with_another_or_with_a_person():
    plan = probe.plan(probe.SIZES["full"])
    assert plan.takes["subject"].value_counts().nunique() == 1
    present = plan.levels.max(axis=2) > 0
    assert not present[:, DRAWN_AUS.index("AU45")].any()
    present = present[:, [name != "AU45" for name in DRAWN_AUS]]
    together = np.corrcoef(present.T) - np.eye(24)
    assert np.abs(together).max() < 4.5 / np.sqrt(
        len(plan)
    )  # 276 pairs: the largest of as many normals is 3.6
    assert present.mean() == pytest.approx(0.15, abs=0.005)
    each = pd.DataFrame(present).groupby(plan.takes["person"].to_numpy()).sum()
    assert (each.max() - each.min()).max() <= 1
    levels = plan.levels[plan.levels > 0]
    assert set(levels.tolist()) == {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize("name", list(MODULES))
def test_a_plan_is_the_same_for_the_same_seed_and_another_for_another(name):
    module = MODULES[name]
    first, again, other = (module.plan(module.SIZES["quick"], seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first.takes, again.takes)
    pd.testing.assert_frame_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.levels, again.levels)
    np.testing.assert_array_equal(first.drift, again.drift)
    assert first.levels.shape != other.levels.shape or not np.array_equal(first.levels, other.levels)


@pytest.mark.parametrize("name", list(MODULES))
@pytest.mark.parametrize(("subjects", "takes"), [(1, 1), (3, 5), (20, 20), (None, 7), (5, None)])
def test_any_size_can_be_planned(name, subjects, takes):
    module = MODULES[name]
    plan = module.plan(native.scaled(module.SIZES["quick"], subjects, takes))
    assert len(plan.takes) == plan.size.takes
    assert plan.takes["subject"].nunique() == plan.takes["person"].nunique() == plan.size.subjects
    assert plan.frames["file"].is_unique
    assert ((plan.levels >= 0) & (plan.levels <= 5)).all()


@pytest.mark.parametrize("name", [name for name in MODULES if name != "probe"])
def test_the_quick_size_has_all_classes(name):
    module = MODULES[name]
    found = set(module.plan(module.SIZES["quick"]).takes["emotion"].dropna())
    missing = {"casme2": {"fear"}}.get(name, set())  # two clips of 255
    wanted = getattr(module, "LABELLED", None) or getattr(module, "EMOTIONS", EMOTIONS)
    assert set(wanted) - missing <= found


def test_fewer_pictures_than_people_are_refused():
    with pytest.raises(UsageError, match="at least one of each person"):
        native.scaled(ckplus.SIZES["quick"], 10, 9)
    with pytest.raises(UsageError, match="at least one of each person"):
        native.scaled(ckplus.SIZES["quick"], 0, 9)


def test_apportion_shares_everything_out():
    assert apportion(10, [1, 1, 1]).tolist() == [4, 3, 3]
    assert apportion(327, [45, 18, 59, 25, 69, 28, 83]).tolist() == [45, 18, 59, 25, 69, 28, 83]
    assert apportion(0, [2, 1]).tolist() == [0, 0]


def test_dealt_aus_have_their_counts_and_their_company():
    known = [(1, 2)] * 9 + [(6, 12)] * 9
    peaks = ckplus.deal_aus({1: 40, 2: 40, 6: 40, 12: 40}, 80, known, np.random.default_rng(0))
    assert Counter(a for peak in peaks for a in peak) == {1: 40, 2: 40, 6: 40, 12: 40}
    pairs = Counter(peak for peak in peaks if len(peak) == 2)
    assert pairs[1, 2] + pairs[6, 12] > 2 * (sum(pairs.values()) - pairs[1, 2] - pairs[6, 12])


def test_codes_read_like_the_workbook_and_one_side_moves_alone():
    codes = {(4, ""): 2.0, (10, "L"): 1.0}
    assert clips.code_text(codes) == "4+L10"
    peak = peak_of(codes)
    assert peak[DRAWN_AUS.index("AU04")].tolist() == [2, 2]
    assert peak[DRAWN_AUS.index("AU10")].tolist() == [1, 0]
    with pytest.raises(KeyError):
        peak_of({(38, ""): 1.0})


def test_people_who_show_one_thing_only_get_nothing_else_and_the_others_something_else():
    emotions = ["others"] * 10 + ["fear"] * 5
    hands = clips.deal(emotions, np.array([5, 4, 6]), {1: "others"}, np.random.default_rng(0))
    assert [len(hand) for hand in hands] == [5, 4, 6]
    assert set(hands[1]) == {"others"}
    assert "fear" in hands[0]
    assert "fear" in hands[2]
    assert sorted(emotion for hand in hands for emotion in hand) == sorted(emotions)


@pytest.mark.parametrize(
    ("aus", "number"),
    [({12}, 1), ({1, 2}, 2), ({4, 7}, 3), ({10}, 4), ({1, 4}, 5), ({1, 2, 4}, 6), ({14}, 7)],
)
def test_objective_classes_follow_the_aus(aus, number):
    assert samm.objective_class(aus) == number
