"""The face rig: who is drawn, what each Action Unit does, and that truth and picture agree."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from ferlib.config import DataError
from ferlib.labels import DRAWN_AUS, EMOTIONS, FER2013_CODES
from ferlib.synthetic import hair, lips, raster, skin, writers
from ferlib.synthetic.camera import draw_scenes
from ferlib.synthetic.expressions import ckplus_combinations, draw_expressions
from ferlib.synthetic.head import EYE, HEAD, LIP_LINE, atlas
from ferlib.synthetic.muscles import actuate, muscle_basis
from ferlib.synthetic.people import draw_people
from ferlib.synthetic.render import draw_faces

UPPER_FACE = ("AU01", "AU02", "AU04", "AU05", "AU06", "AU07", "AU43", "AU45")


def acting(*aus: str, level: float = 4.0, n: int = 1) -> torch.Tensor:
    levels = torch.zeros(n, len(DRAWN_AUS), 2)
    for au in aus:
        levels[:, DRAWN_AUS.index(au)] = level
    return levels


@pytest.fixture(scope="module")
def each_au_alone():
    """One person, frontal, at rest and with each AU alone at D."""
    n = len(DRAWN_AUS)
    levels = torch.zeros(n, n, 2)
    levels[range(n), range(n)] = 4.0
    scenes = draw_scenes(1, "studio")[np.zeros(n, int)].with_(yaw=0.0, pitch=0.0, roll=0.0, noise=0.0)
    people = draw_people("test", 1, np.full(n, 1))
    return draw_faces(people, levels, scenes, 96, truth=True)


def test_a_face_does_not_depend_on_the_batch_it_is_drawn_in():
    people, scenes = draw_people("test", 0, np.arange(19)), draw_scenes(19, "wild")
    levels = draw_expressions([EMOTIONS[i % 8] for i in range(19)], 0, "wild")
    together = draw_faces(people, levels, scenes, 48)
    for rows in ([3], [17, 2]):
        apart = draw_faces(people[rows], levels[rows], scenes[rows], 48)
        assert torch.equal(apart.images, together.images[rows])
        torch.testing.assert_close(apart.landmarks, together.landmarks[rows], atol=1e-3, rtol=0)


def test_nothing_that_lay_in_memory_reaches_a_picture(monkeypatch):
    people, scenes = draw_people("test", 0, np.arange(19)), draw_scenes(19, "wild")
    levels = draw_expressions([EMOTIONS[i % 8] for i in range(19)], 0, "wild")
    drawn = []
    for seed in (0, 1):
        left_over = torch.Generator().manual_seed(seed)
        for name in ("empty", "empty_like"):
            new = getattr(torch, name)
            dirty = lambda *a, new=new, **b: new(*a, **b).normal_(std=100, generator=left_over)  # noqa: E731, B023
            monkeypatch.setattr(torch, name, dirty)
        drawn.append(draw_faces(people, levels, scenes, 48).images)
        monkeypatch.undo()
    assert torch.equal(*drawn)


def test_a_person_is_the_same_in_any_batch_and_lives_in_one_corpus_only():
    ours, again = draw_people("ckplus", 0, np.arange(50)), draw_people("ckplus", 0, [7, 3])
    assert torch.equal(ours.traits[[7, 3]], again.traits)
    assert ours.attributes().iloc[[7, 3]].reset_index(drop=True).equals(again.attributes())
    everyone = np.concatenate(
        [draw_people(c, s, np.arange(50)).seeds for c in ("ckplus", "fer2013", "samm") for s in (0, 1)]
    )
    assert len(np.unique(everyone)) == len(everyone)


@pytest.mark.parametrize("au", DRAWN_AUS)
def test_each_au_alone_changes_pixels_of_its_own_half_of_the_face(each_au_alone, au):
    mask = each_au_alone.masks[DRAWN_AUS.index(au), DRAWN_AUS.index(au)]
    nose = each_au_alone.landmarks[0, 30, 1].item()
    assert mask.sum() >= 40
    rows = mask.nonzero()[:, 0].float()
    if au == "AU09":
        return
    share_above = (rows < nose).float().mean().item()
    assert share_above > 0.8 if au in UPPER_FACE else share_above < 0.35


def test_an_absent_au_has_an_empty_mask(each_au_alone):
    others = ~torch.eye(len(DRAWN_AUS), dtype=torch.bool)
    assert not each_au_alone.masks[others].any()


def test_landmarks_lie_on_the_drawn_eyes_and_mouth(each_au_alone):
    shut = each_au_alone.masks[DRAWN_AUS.index("AU43"), DRAWN_AUS.index("AU43")]
    marks = each_au_alone.landmarks[DRAWN_AUS.index("AU05")]
    for eye in (marks[36:42], marks[42:48]):
        (left, top), (right, bottom) = (
            eye.min(0)[0].round().int().tolist(),
            eye.max(0)[0].round().int().tolist(),
        )
        assert shut[top : bottom + 1, left : right + 1].float().mean() > 0.6
    open_mouth = DRAWN_AUS.index("AU27")
    image = each_au_alone.images[open_mouth].float().mean(0)
    column, row = each_au_alone.landmarks[open_mouth, [62, 66]].mean(0).round().int().tolist()
    nose = each_au_alone.landmarks[open_mouth, 29].round().int().tolist()
    assert image[row, column] < 0.6 * image[nose[1], nose[0]]


@pytest.mark.parametrize("au", ["AU02", "AU12", "AU14", "AU43"])
def test_left_and_right_mirror_each_other(au):
    person = draw_people("test", 0, [5])
    left, right = torch.zeros(2, 1, len(DRAWN_AUS), 2).unbind(0)
    left[0, DRAWN_AUS.index(au), 0] = right[0, DRAWN_AUS.index(au), 1] = 5.0
    head = atlas(64)
    rows = int((head.part == HEAD).sum()) // head.cols

    def moved(levels):
        moves = actuate(levels, person.looks["fold_gain"]) @ muscle_basis(64).moves
        return moves.reshape(3, -1)[:, : rows * head.cols].reshape(3, rows, head.cols)

    mirrored = moved(right).flip(-1) * torch.tensor([-1.0, 1.0, 1.0])[:, None, None]
    torch.testing.assert_close(moved(left), mirrored, atol=2e-3, rtol=0)
    assert (
        moved(left)[1, :, head.cols // 2 + 4 :].abs().max()
        > 5 * moved(left)[1, :, : head.cols // 2 - 4].abs().max()
    )


def test_hair_leaves_eyes_nose_and_mouth_bare_and_covers_the_crown():
    people, head = draw_people("test", 4, np.arange(200)), atlas(64)
    cover, thick = (a.numpy() for a in hair.hair_cover(people, 64))
    side, height = np.abs(head.material[0]), head.material[1]
    features = (head.part == HEAD) & (side < EYE[0] + 1.5) & (height < 1.0) & (height > -9.0)
    assert cover[:, features].max() < 0.05
    haired = (people.table["hair"] != "bald").to_numpy()
    crown = (head.part == HEAD) & (height > 10.0)
    assert cover[haired][:, crown].min() > 0.6
    assert not cover[~haired][:, crown].any()
    assert (thick >= 0).all()


def test_hair_with_a_parting_on_the_other_side_is_the_mirror_image():
    maps, head = hair.hair_maps(64), atlas(64)
    left, right = (
        maps.clumps[hair._FLOWS.index(side)].reshape(head.rows, head.cols) for side in ("left", "right")
    )
    rows = int((head.part == HEAD).sum()) // head.cols
    top = slice(2, rows // 3)
    assert np.corrcoef(left[top].ravel(), right[top].flip(-1).ravel())[0, 1] > 0.95
    assert np.corrcoef(left[top].ravel(), right[top].ravel())[0, 1] < 0.5


def test_beards_leave_the_red_of_the_lips_bare():
    head = atlas(160)
    side, height = np.abs(head.material[0]), head.material[1]
    red = (side < 1.6) & (height < LIP_LINE + 0.3) & (height > LIP_LINE - 0.5) & (head.front > 0.9)
    assert skin.skin_maps(160).beard.numpy()[:, red].max() < 0.1


def test_intensity_grows_from_a_to_e():
    person, scene = (
        draw_people("test", 1, np.full(6, 1)),
        draw_scenes(1, "studio")[np.zeros(6, int)].with_(noise=0.0),
    )
    levels = torch.cat([acting("AU12", level=float(i)) for i in range(6)])
    images = draw_faces(person, levels, scene, 96).images.float()
    change = (images - images[:1]).abs().mean((1, 2, 3))
    assert (change.diff() > 0).all()


def test_ckplus_expressions_have_the_joint_au_table_of_ckplus():
    real = ckplus_combinations()
    assert real["count"].sum() == 327
    rows = real.loc[real.index.repeat(real["count"])]
    numbers = [int(au[2:]) for au in DRAWN_AUS]
    present = np.array([[n in map(int, str(aus).split("+")) for n in numbers] for aus in rows["aus"]], float)
    drawn = draw_expressions(np.tile(rows["emotion"].to_numpy(), 20), 1, "ckplus").max(2) > 0
    joint_real, joint_drawn = present.T @ present / len(present), drawn.T.astype(float) @ drawn / len(drawn)
    assert np.abs(joint_real - joint_drawn).max() < 0.03
    for emotion in EMOTIONS[1:]:
        ours = drawn[np.tile(rows["emotion"].to_numpy(), 20) == emotion].mean(0)
        assert np.abs(ours - present[(rows["emotion"] == emotion).to_numpy()].mean(0)).max() < 0.08


def test_unknown_emotions_and_settings_are_refused():
    with pytest.raises(ValueError, match="Unknown emotion 'joy'"):
        draw_expressions(["joy"])
    with pytest.raises(ValueError, match="Unknown setting"):
        draw_scenes(1, "moon")
    with pytest.raises(ValueError, match="equally many"):
        draw_faces(draw_people("test", 0, [1, 2]), acting(), draw_scenes(1))


def test_extreme_faces_and_poses_stay_finite_and_keep_their_face():
    people = draw_people("test", 3, np.arange(6))
    scenes = draw_scenes(6, "wild").with_(
        yaw=torch.tensor([-45.0, 45, 0, 0, 45, -45]), pitch=torch.tensor([0.0, 0, 30, -30, 30, -30])
    )
    levels = torch.full((6, len(DRAWN_AUS), 2), 5.0)
    drawn = draw_faces(people, levels, scenes, 48)
    assert torch.isfinite(drawn.landmarks).all()
    assert (drawn.images.float().std((1, 2, 3)) > 5).all()


def test_a_drawn_fer2013_has_the_official_layout_whatever_the_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(writers, "_CHUNK", 24)
    one, two = (writers.write_fer2013(tmp_path / str(w), 60, seed=3, workers=w) for w in (1, 2))
    assert (one / "fer2013.csv").read_bytes() == (two / "fer2013.csv").read_bytes()
    table, truth = pd.read_csv(one / "fer2013.csv"), pd.read_parquet(one / "truth.parquet")
    assert list(table.columns) == ["emotion", "pixels", "Usage"]
    assert table["emotion"].between(0, len(FER2013_CODES) - 1).all()
    assert table["pixels"].str.split().str.len().eq(2304).all()
    assert table["Usage"].value_counts().to_dict() == {"Training": 48, "PublicTest": 6, "PrivateTest": 6}
    assert truth.groupby("person")["Usage"].nunique().max() == 1
    marker = json.loads((one / "DRAWN.json").read_text())
    assert (marker["synthetic"], marker["corpus"]) == (True, "fer2013")
    (one / "DRAWN.json").unlink()
    with pytest.raises(DataError, match="not drawn"):  # taken for photographs
        writers.write_fer2013(one, 60)


def test_small_holes_within_a_face_are_filled_from_beside_and_its_outline_is_kept():
    hit = torch.zeros(2, 12, 12, dtype=torch.bool)
    hit[1, 2:10, 2:10] = True
    hit[1, 5:7, 5:7] = hit[1, 2:4, 4:6] = False  # a hole, and a notch in the rim
    hole, lender = raster._pinholes(hit)
    places = [(1, row, column) for row in (5, 6) for column in (5, 6)]
    assert [tuple(np.unravel_index(int(i), hit.shape)) for i in hole] == places
    assert hit.reshape(-1)[lender].all()


def test_pressed_skin_lies_in_order_and_skin_at_rest_is_left_alone():
    around = lips.region(88)
    rest = around.height[None].repeat(2, 1, len(around.across))
    pressed = rest.clone()
    pressed[1] += 1.2 * torch.exp(-(((around.height + 7.8) / 0.3) ** 2))  # the lower lip rises past the mouth
    depth = torch.rand(pressed.shape, generator=torch.Generator().manual_seed(0))
    flat = depth.clone()
    measured = lips.settle(pressed, flat, around)
    assert (pressed.diff(dim=1) < 0).all()
    assert (pressed[1] - rest[1]).abs().max() > 0.1
    torch.testing.assert_close(pressed[0], rest[0])
    assert torch.equal(flat[0], depth[0])
    assert flat[1].std() < depth[1].std()
    assert measured[3, 1].max() < 0.5 < measured[3, 0].min()


def test_on_lips_at_rest_heights_are_addresses_and_on_pressed_ones_they_reach_as_far():
    around, n = lips.region(88), 9
    rest = around.height[None].repeat(2, 1, len(around.across))
    rest[1] = 0.5 * (rest[1] - LIP_LINE) + LIP_LINE
    measured = lips.settle(rest.clone(), torch.zeros_like(rest), around)
    height, across = torch.linspace(-0.6, 0.6, n), torch.linspace(-2, 2, n)
    for face, share in ((0, 1.0), (1, 0.5)):
        who = torch.full((n,), face)
        found, drawn = lips.between(measured, around, who, across, LIP_LINE + share * height)
        torch.testing.assert_close(drawn, torch.full((n,), share))
        torch.testing.assert_close(found, height, atol=0.02, rtol=0)
