"""Clips: what is damaged is named and left out; time, length and place are what they should be."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from micro_world import film, moving_dots

from ferlib import datasets, splits
from ferlib.config import DataError, UsageError
from ferlib.datasets import megc
from ferlib.micro import clips, measures, motion
from ferlib.synthetic.native import casme2, samm, smic
from ferlib.synthetic.native import megc as drawn_megc


@pytest.fixture(scope="module")
def faces():
    return moving_dots()


@pytest.fixture(scope="module")
def dots(faces):
    return clips.of(faces)


def test_clips_are_whole_in_order_and_marked(faces, dots):
    assert len(dots) == 36
    assert dots.damaged.empty
    shuffled = faces.select(np.random.default_rng(0).permutation(len(faces)))
    again = clips.of(shuffled)
    at = {
        (s, q): i
        for i, (s, q) in enumerate(zip(again.table["subject"], again.table["sequence"], strict=True))
    }
    for i, row in dots.table.iterrows():
        assert np.array_equal(dots.frames(i), again.frames(at[row["subject"], row["sequence"]]))
    assert dots.times[0][1] == pytest.approx(1 / 200)
    assert (dots.table["apex"] == dots.table["n_frames"] - 2).all()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda t: t.drop(index=t.index[3]), "1 of .* frames could not be read"),
        (
            lambda t: t.drop(index=t.index[3]).assign(n_frames=len(t) - 1),
            "missing frames: what follows frame",
        ),
        (lambda t: t.iloc[:1].assign(n_frames=1), "only one frame"),
        (lambda t: t.assign(offset=t["onset"]), "onset and offset are the same frame"),
        (lambda t: t.assign(apex=t["offset"] + 3), "apex .* lies outside"),
        (lambda t: t.iloc[1:].assign(n_frames=len(t) - 1), "missing frames: onset"),
    ],
)
def test_a_damaged_clip_is_named_with_its_reason_and_the_rest_goes_on(faces, spoil, reason):
    first = (faces.table["subject"] == "P0") & (faces.table["sequence"] == "c0")
    spoilt = pd.concat([spoil(faces.table[first]), faces.table[~first]])
    images = faces.images[spoilt["row"]]
    found = clips.of(replace(faces, images=images, table=spoilt.reset_index(drop=True)))
    assert len(found) == 35
    assert found.damaged[["subject", "sequence"]].to_numpy().tolist() == [["P0", "c0"]]
    assert found.damaged["reason"].str.contains(reason, regex=True).all()


def test_the_corpus_itself_can_be_spoilt_in_five_ways_and_each_is_found(faces):
    found = clips.of(clips.spoilt(faces))
    assert len(found) == 1
    reasons = " | ".join(found.damaged["reason"])
    for word in ("missing frames", "only one frame", "could not be read", "same frame", "lies outside"):
        assert word in reasons
    with pytest.raises(DataError, match="six are needed"):
        clips.spoilt(faces.select(faces.table["subject"] == "PX"))


def test_a_coded_apex_between_the_stored_frames_is_no_gap(faces):
    thin = moving_dots(people=1, each=1, every=5)
    table = thin.table.copy()
    table.loc[4, "frame"] += 2  # an apex that was stored beside the even steps
    table["apex"] = table["frame"].iloc[4]
    extra = pd.concat([table.iloc[:4], thin.table.iloc[4:5], table.iloc[4:]]).assign(n_frames=len(table) + 1)
    extra["apex"] = table["apex"].iloc[0]
    images = np.concatenate([thin.images[:5], thin.images[4:]])
    found = clips.of(replace(thin, images=images, table=extra.reset_index(drop=True)))
    assert found.damaged.empty
    assert found.table["apex"].tolist() == [5]


def test_a_corpus_without_clips_is_told_so():
    from tiny_faces import tiny_faces

    with pytest.raises(DataError, match=r"has no clips: it lacks .*fps"):
        clips.of(tiny_faces())


def test_a_missing_apex_is_estimated_marked_and_close(faces):
    there_and_back = np.concatenate([film((0, 1), (12, 8), 9), film((0, 1), (12, 8), 9)[::-1]])
    times = np.arange(18) / 200
    assert 5 <= clips.estimated_apex(there_and_back, times) <= 12
    drifting = np.stack([np.roll(np.tile(np.linspace(0, 200, 24), (24, 1)), t) for t in range(3)])
    assert (
        clips.estimated_apex(np.concatenate([drifting[:1]] * 2 + [drifting[2:]]).astype(np.uint8), times[:3])
        == 1
    )
    nobody_saw = replace(faces, table=faces.table.assign(apex=pd.array([pd.NA] * len(faces), "Int32")))
    assert clips.of(nobody_saw).table["apex_estimated"].all()
    assert not clips.of(faces).table["apex_estimated"].any()
    assert (clips.guessed_apexes(clips.of(faces)) == clips.of(nobody_saw).table["apex"]).all()


def test_time_is_interpolated_between_neighbours(dots):
    ramp = np.arange(5, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    times = np.array([0.0, 0.1, 0.2, 0.4, 0.8])
    wanted = np.array([0.0, 0.05, 0.3, 0.8])
    expected = np.interp(wanted, times, np.arange(5))
    assert clips.at_times(ramp, times, wanted)[:, 0, 0] == pytest.approx(expected)
    made = clips.to_length(dots, 16)
    assert {clip.shape for clip in made} == {(16, 24, 24)}
    assert all(np.array_equal(clip[[0, -1]], dots.frames(i)[[0, -1]]) for i, clip in enumerate(made))
    assert [len(clip) for clip in clips.to_length(dots, 0)] == dots.table["n_frames"].tolist()
    with pytest.raises(UsageError, match="at least 2 frames"):
        clips.to_length(dots, 1)


def test_a_slower_camera_keeps_the_frames_it_would_have_taken(dots):
    half = clips.slower_camera(dots, 100)
    for kept, filmed in zip(half.at, dots.at, strict=True):
        expected = sorted({*filmed[::2].tolist(), filmed[-1]})
        assert kept.tolist() == expected
    with pytest.raises(UsageError, match="faster than the film"):
        clips.slower_camera(dots, 400)


def test_alignment_is_one_map_a_clip_and_brings_faces_to_one_place():
    still = np.stack([film((0, 0), (12, 12), 8) for _ in range(4)])
    rng = np.random.default_rng(0)
    texture = rng.normal(0, 1, (24, 24))
    from scipy.ndimage import gaussian_filter, shift

    texture = 60 * gaussian_filter(texture, 2) / gaussian_filter(texture, 2).std()
    moves = [(0, 0), (2, 1), (-1, 2), (1, -2)]
    films = [
        np.stack([shift(f * 0.3 + 90 + texture, m, mode="nearest") for f in s])
        for s, m in zip(still, moves, strict=True)
    ]
    world = moving_dots(people=4, each=1)
    table = pd.concat(
        [world.table[world.table["subject"] == f"P{i}"].iloc[:8] for i in range(4)], ignore_index=True
    )
    table["n_frames"] = 8
    table["apex"] = table["offset"] = table.groupby("subject")["frame"].transform("max").astype("Int32")
    images = np.clip(np.concatenate(films), 0, 255).astype(np.uint8)
    shifted = clips.of(replace(world, images=images, table=table))
    placed = clips.aligned(shifted)
    inner = (slice(4, -4), slice(4, -4))

    def spread(which):
        onsets = np.stack([which.frames(i)[0] for i in range(4)]).astype(float)
        return onsets.std(axis=0)[inner].mean()

    assert spread(placed) < 0.5 * spread(shifted)
    for i in range(4):  # all frames of a still clip are still the same picture
        assert np.ptp(placed.frames(i).astype(int), axis=0).max() == 0


# ------------------------------------------------------------------------------------------------ the composite


def planned(module, reader):
    """The clips of a full-size drawn corpus as its store would name them, without a face drawn."""
    takes = module.plan(module.SIZES["full"]).takes
    subject = takes["subject"].str.removeprefix("s").astype(int).map(reader.format)
    sequence = takes["sequence"]
    if module is smic:
        sequence = subject + "_" + sequence.str.split("_", n=1).str[1]
    n = len(takes)
    table = pd.DataFrame(
        {"row": range(n), "subject": subject, "sequence": sequence, "label": takes["emotion"]}
    )
    images = np.zeros((2 * n, 1, 1), np.uint8)
    at = tuple(np.array([2 * i, 2 * i + 1]) for i in range(n))
    table = table.assign(apex=1, apex_at=1.0, n_frames=2, fps=200.0)
    faces = datasets.FaceSet(images, pd.DataFrame(), "synthetic-x", "d", True, {}, ())
    return clips.Clips(faces, table, at, tuple([np.array([0.0, 1.0])] * n), pd.DataFrame())


@pytest.fixture(scope="module")
def listed(tmp_path_factory):
    """The list of a full-size drawn composite."""
    folder = tmp_path_factory.mktemp("megc") / "megc"
    drawn_megc.write_megc(folder, size="full")
    return megc.read_list(folder / drawn_megc.LIST)[0]


@pytest.fixture(scope="module")
def parts():
    readers = {"casme2": (casme2, "sub{:02d}"), "samm": (samm, "{:03d}"), "smic": (smic, "s{:02d}")}
    return {name: planned(*reader) for name, reader in readers.items()}


def test_the_full_size_composite_has_145_133_and_164_clips_of_68_people(listed, parts):
    made = measures.composite(parts, listed)
    corpus = made.table["subject"].str.split(" ").str[0].value_counts().to_dict()
    assert corpus == {"casme2": 145, "samm": 133, "smic": 164}
    assert made.table["subject"].nunique() == 68
    assert set(made.table["label"]) == set(megc.CLASSES)
    assert made.table.set_index(["subject", "sequence"])["label"].to_dict() == {
        (f"{c} {s}", q): label for c, s, q, label in listed.itertuples(index=False)
    }
    assert len(made.faces.images) == 2 * 442
    assert [len(at) for at in made.at] == [2] * 442
    missing = replace(parts["samm"], table=parts["samm"].table.assign(sequence="gone"))
    with pytest.raises(DataError, match="are not in samm"):
        measures.composite({"samm": missing}, listed)


def test_no_fold_of_the_composite_divides_a_person(listed, parts):
    two = {name: parts[name] for name in ("casme2", "smic")}
    faces = measures.composite(two, listed).as_faces()
    names = splits.fold_names(faces, "leave-one-person-out")
    assert len(names) == 24 + 16
    for fold in (0, 17, 39):
        made = splits.parts(faces, "leave-one-person-out", fold=fold, target="all")
        people = [set(part.subjects) for part in (made.train, made.val, made.test)]
        assert people[2] == {names[fold]}
        assert not people[0] & people[1]
        assert not people[2] & (people[0] | people[1])


# -------------------------------------------------------------------------------------------------- movement


def test_flow_measures_a_shift_and_the_head_is_taken_out():
    from scipy.ndimage import gaussian_filter, shift

    texture = gaussian_filter(np.random.default_rng(0).normal(0, 1, (48, 48)), 1.5)
    face = 128 + 60 * texture / texture.std()
    moved = np.stack([face, shift(face, (1.5, -2.0), mode="nearest")]).clip(0, 255).astype(np.uint8)
    found = motion.flow(moved)
    assert (found[0] == 0).all()
    assert found[1, :, 10:-10, 10:-10].mean(axis=(1, 2)) == pytest.approx([-2.0, 1.5], abs=0.2)
    y, x = np.mgrid[:20, :20]
    turning = np.stack([0.3 + 0.1 * y, -0.2 - 0.1 * x])
    assert motion.without_head(turning) == pytest.approx(np.zeros_like(turning), abs=1e-4)
    smile = np.zeros((2, 20, 20))
    smile[1, 14:16, 4:8] = -1.0
    assert np.abs(motion.without_head(smile + turning) - motion.without_head(smile)).max() < 1e-4


def test_strain_is_zero_for_rigid_movement_and_known_for_a_stretch():
    y, x = np.mgrid[:9, :9].astype(float)
    assert motion.strain(np.stack([2 + 0.1 * y, 3 - 0.1 * x])) == pytest.approx(np.zeros((9, 9)), abs=1e-9)
    assert motion.strain(np.stack([0.2 * x, 0 * y])) == pytest.approx(np.full((9, 9), 0.2))


@pytest.mark.parametrize("band", [None, (10.0, 40.0)])
def test_magnification_makes_a_small_movement_larger(band):
    t = np.arange(40) / 200
    sway = 0.4 * np.sin(2 * np.pi * 20 * t)
    columns = np.arange(48)
    bars = 128 + 80 * np.tanh((columns - 24 - sway[:, None]) / 6)
    clip = np.repeat(bars[:, None], 12, axis=1).round().astype(np.uint8)

    def edge(frames):  # where the middle row crosses middle grey
        return np.array([np.interp(128, row, columns) for row in frames[:, 6].astype(float)])

    larger = motion.magnified(clip, 3.0, band)
    assert np.ptp(edge(larger)) == pytest.approx(4 * np.ptp(edge(clip)), rel=0.25)
    with pytest.raises(UsageError, match="band_hz"):
        motion.magnified(clip, 3.0, (50.0, 10.0))


def test_every_input_is_a_grey_clip_and_a_still_clip_is_middle_grey(dots):
    clip = dots.frames(0)
    for kind in motion.INPUTS:
        made = motion.as_input(clip, kind)
        assert made.shape == clip.shape
        assert made.dtype == np.uint8
    still = np.repeat(clip[:1], 5, axis=0)
    assert (motion.as_input(still, "difference") == 128).all()
    assert np.abs(motion.as_input(still, "flow").astype(int) - 128).max() <= 1
    with pytest.raises(UsageError, match="input"):
        motion.as_input(clip, "gray")


def test_block_means_equal_the_mean_of_each_block():
    maps = np.random.default_rng(0).normal(size=(2, 7, 9))
    made = motion.block_means(maps, 3)
    rows, columns = [0, 2, 4, 7], [0, 3, 6, 9]
    for i in range(3):
        for j in range(3):
            block = maps[:, rows[i] : rows[i + 1], columns[j] : columns[j + 1]]
            assert made[:, i, j] == pytest.approx(block.mean(axis=(1, 2)))
