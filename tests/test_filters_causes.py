"""Planted filters are found by tuning, dissection and ablation, and controls control what they say."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from filter_world import ACROSS, DOWN, Watcher, n_hooks, striped, striped_faces
from scipy import stats
from tiny_faces import tiny_faces

from ferlib import filters, models, runs, training
from ferlib.config import DataError, UsageError
from ferlib.recipes import TrainConfig

LAYER = "block.conv"


def rng(seed=0):
    return np.random.default_rng(seed)


# ---------------------------------------------------------------------------------------------- tuning


def striped_stimuli(n_people=6):
    """AU12 is a line across and AU04 a line down; people differ in how bright theirs are."""
    rows, images = [], []
    for person in range(n_people):
        step = 10 + 2 * person
        for acting, level, image in [
            ("", 0, striped(0)),
            *(("AU12", level, striped(step * level)) for level in range(1, 6)),
            *(("AU04", level, striped(step * level, direction="down")) for level in range(1, 6)),
            ("AU04+AU12", 5, np.maximum(striped(step * 5), striped(step * 5, direction="down"))),
        ]:
            rows.append({"person": person, "acting": acting, "level": level})
            images.append(image)
    return filters.Stimuli(np.stack(images), pd.DataFrame(rows))


def test_a_filter_that_follows_an_au_has_its_tuning_curve_and_selects_it():
    found = filters.tuning(Watcher([ACROSS, DOWN]), LAYER, striped_stimuli())
    assert found.response.shape == (2, 2, 6, 6)
    assert found.aus == ("AU12", "AU04")
    rise = filters.curves(found, rng())
    mean_step = np.mean([10 + 2 * p for p in range(6)])
    np.testing.assert_allclose(rise.value[0, 0], 3 * mean_step * np.arange(6))  # three bright pixels
    assert (rise.low[0, 0, 1:] > 0).all()
    chosen = filters.selectivity(found, rng())
    assert chosen["au"].tolist() == ["AU12", "AU04"]
    # at E people 1, 3 and 5 have lines of 60, 80 and 100: three bright pixels answer to the line across, and
    # one to the end of the line down
    assert chosen["index"].tolist() == pytest.approx([(240 - 80) / (240 + 80)] * 2)


def test_rest_and_one_level_are_enough_for_causes():
    stimuli = striped_stimuli()
    rows = stimuli.table["level"].isin([0, 5]).to_numpy()
    table = stimuli.table[rows].reset_index(drop=True)
    net = Watcher([ACROSS, DOWN])
    some = filters.tuning(net, LAYER, filters.Stimuli(stimuli.images[rows], table))
    every = filters.tuning(net, LAYER, stimuli)
    assert some.levels == (0, 5)
    assert np.array_equal(some.response, every.response[:, :, [0, 5]])
    pd.testing.assert_frame_equal(filters.causes(some, rng()), filters.causes(every, rng()))
    assert np.array_equal(filters.interactions(some, rng()).value, filters.interactions(every, rng()).value)


@pytest.mark.parametrize("levels", [(), (0, 5), (5, 1), (6,)])
def test_levels_that_facs_does_not_have_are_refused(levels):
    with pytest.raises(UsageError, match="some of 1 to 5"):
        filters.TuningPlan(levels=levels)


def test_the_selectivity_index_is_that_of_morcos():
    response = np.zeros((1, 3, 6, 4), np.float32)
    response[0, :, -1] = np.array([4.0, 1, 3])[:, None]
    found = filters.Tuning("x", ("AU01", "AU02", "AU04"), (), response, np.zeros((1, 0, 4)))
    chosen = filters.selectivity(found, rng()).iloc[0]
    assert chosen["au"] == "AU01"
    assert chosen["index"] == pytest.approx((4 - 2) / (4 + 2))
    assert (chosen["low"], chosen["high"], chosen["n"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3), 2)
    silent = filters.selectivity(
        filters.Tuning("x", ("AU01", "AU02"), (), 0 * response[:, :2], np.zeros((1, 0, 4))), rng()
    )
    assert np.isnan(silent["index"][0])


def test_choosing_the_best_of_many_aus_in_noise_does_not_look_selective():
    noise = rng().normal(size=(200, 10, 6, 8)).astype(np.float32)
    found = filters.Tuning("x", tuple(f"AU{u:02d}" for u in range(10)), (), noise, np.zeros((200, 0, 8)))
    honest = filters.selectivity(found, rng())["index"].mean()
    rises = np.maximum(found.rise[:, :, -1].mean(axis=2), 0)  # the same people choose and are measured
    best = rises.max(axis=1)
    others = (rises.sum(axis=1) - best) / 9
    flattered = ((best - others) / (best + others)).mean()
    assert honest < 0.1
    assert flattered > 0.4


def test_two_aus_that_only_add_up_do_not_interact():
    response = np.ones((2, 2, 6, 5), np.float32)
    response[:, 0, -1], response[:, 1, -1] = 3, 4
    together = np.stack([np.full((1, 5), 6.0), np.full((1, 5), 9.0)])  # 1 + 2 + 3, and 3 more
    found = filters.Tuning("x", ("AU01", "AU02"), ("AU01+AU02",), response, together)
    assert filters.interactions(found, rng()).value.tolist() == [[0], [3]]


def test_intervals_over_people_are_those_of_the_bootstrap_made_wider_for_few():
    values, n = rng().normal(2, 1, size=(1, 12)), 12
    ours = filters.over_people(values, rng())
    level = 1 - 2 * stats.norm.sf(np.sqrt(n / (n - 1)) * stats.t.isf(0.025, n - 1))
    expected = stats.bootstrap(
        (values[0],), np.mean, n_resamples=4000, method="percentile", confidence_level=level, random_state=1
    )
    assert ours.value[0] == pytest.approx(values.mean())
    assert ours.low[0] == pytest.approx(expected.confidence_interval.low, abs=0.08)
    assert ours.high[0] == pytest.approx(expected.confidence_interval.high, abs=0.08)


def test_intervals_over_eight_people_hold_the_truth_95_times_in_a_hundred():
    found = filters.over_people(rng(1).normal(size=(600, 8)), rng(2))
    held = ((found.low <= 0) & (found.high >= 0)).mean()
    assert 0.93 <= held <= 0.97


def test_causes_find_the_au_that_moves_a_filter_and_nothing_in_noise():
    noise = rng(3).normal(size=(40, 6, 6, 10)).astype(np.float32)
    noise[:, :, 0] = noise[:, :1, 0]  # one face at rest a person
    noise[7, 2, -1] += 8
    names = tuple(f"AU{u:02d}" for u in range(6))
    table = filters.causes(filters.Tuning("x", names, (), noise, np.zeros((40, 0, 10))), rng())
    found = table[table["q"] <= 0.05]
    assert (7, "AU02") in set(zip(found["filter"], found["au"], strict=True))
    assert len(found) <= 4
    row = table[(table["filter"] == 7) & (table["au"] == "AU02")].iloc[0]
    rises = (noise[7, 2, -1] - noise[7, 2, 0]).astype(float)
    assert row["rank"] == 1
    assert row["rise"] == pytest.approx(rises.mean(), rel=1e-5)
    assert row["p"] == pytest.approx(stats.ttest_rel(noise[7, 2, -1], noise[7, 2, 0]).pvalue, rel=1e-3)


def test_answers_that_all_people_share_are_sure_and_silence_is_no_cause():
    response = np.zeros((1, 2, 6, 3), np.float32)
    response[0, 1, -1] = 4
    table = filters.causes(filters.Tuning("x", ("AU01", "AU02"), (), response, np.zeros((1, 0, 3))), rng())
    assert table["p"].tolist() == [1, 0]
    assert table["rank"].tolist() == [2, 1]


def test_what_moves_half_the_variance_has_a_share_of_a_half():
    n = 400
    who, light = rng().integers(0, 100, (2, n, 2))  # [picture, exchanged]
    parts = {
        "": who[:, 0] + light[:, 0],
        "person": who[:, 1] + light[:, 0],
        "pose": who[:, 0] + light[:, 0],
        "everything": who[:, 1] + light[:, 1],
    }
    table = pd.DataFrame({"exchanged": np.repeat(list(parts), n), "person": np.tile(np.arange(n), 4)})
    images = np.concatenate(list(parts.values()))[:, None, None] * np.ones((1, 2, 2), np.uint8)
    shares = filters.variance_shares(
        Watcher([[[1.0]]]), LAYER, filters.Stimuli(images.astype(np.uint8), table), rng()
    )
    shares = shares.set_index("factor")
    assert shares["share"]["pose"] == 0
    assert shares["low"]["person"] < 0.5 < shares["high"]["person"]
    assert shares["share"]["person"] == pytest.approx(0.5, abs=0.06)


def test_drawn_stimuli_hold_everything_but_the_muscles_and_are_drawn_once(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    plan = filters.TuningPlan(aus=("AU27",), pairs=(), n_people=2, size=32)
    drawn = filters.tuning_faces(plan)
    assert drawn.images.shape == (12, 32, 32)
    assert drawn.table["level"].tolist() == [0, 1, 2, 3, 4, 5] * 2
    faces = drawn.images.reshape(2, 6, 32, 32).astype(float)
    moved = np.abs(faces[:, 1:] - faces[:, :1])
    amount = moved.mean(axis=(2, 3))
    assert (amount[:, -1] > 2 * amount[:, 0]).all()  # the wider the mouth, the more changes
    assert moved[:, -1, :10].mean() < 1  # nothing above the brows; with the camera's metering it were above 3
    assert moved[:, :, 20:].max() > 30
    monkeypatch.setattr("ferlib.synthetic.render.draw_faces", None)
    assert np.array_equal(filters.tuning_faces(plan).images, drawn.images)
    with pytest.raises(TypeError):
        filters.tuning_faces(filters.TuningPlan(aus=("AU27",), pairs=(), n_people=2, size=32, seed=1))


def test_exchanged_stimuli_change_what_they_say(tmp_path, monkeypatch):
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    drawn = filters.exchange_faces(filters.ExchangePlan(n=3, size=24))
    groups = drawn.table.groupby("exchanged", sort=False).indices
    assert list(groups) == ["", "AUs", "person", "skin tone", "pose", "light", "everything"]
    base = drawn.images[groups[""]].astype(float)
    for name, rows in groups.items():
        changed = np.abs(drawn.images[rows] - base).max(axis=(1, 2)) > 4
        assert changed.all() == (name != ""), name


def test_an_au_that_the_rig_does_not_draw_is_refused():
    with pytest.raises(UsageError, match="No drawn AU 'AU13'"):
        filters.TuningPlan(aus=("AU13",))


# -------------------------------------------------------------------------------------------- ablation


def test_a_filter_that_alone_carries_a_class_takes_that_class_with_it():
    net, faces = Watcher([ACROSS, DOWN]), striped_faces()
    table = filters.ablation(net, faces, LAYER, {"AU12": [0], "AU04": [1], "AU01": []}, 40, rng())
    table = table.set_index(["au", "emotion"])
    assert len(table) == 4
    assert table["recall"].tolist() == [1] * 4
    assert table["lost"].to_dict() == {
        ("AU12", "anger"): 1, ("AU12", "happiness"): 0, ("AU04", "anger"): 0, ("AU04", "happiness"): 1,
    }  # fmt: skip
    assert 0.2 < table["random_lost"]["AU12", "anger"] < 0.8  # one of two filters, at random
    assert (table["n"] == 6).all()


def test_silencing_beats_chance_only_where_few_filters_carry_the_class():
    silent = np.zeros((28, 3, 3))
    net, faces = Watcher([ACROSS, DOWN, *silent]), striped_faces()
    net.forward = lambda x: net.block(x.float()).amax(dim=(2, 3))[:, :2]
    table = filters.ablation(net, faces, LAYER, {"AU12": [0]}, 99, rng()).set_index("emotion")
    assert table["lost"]["anger"] == 1
    assert table["p"]["anger"] < 0.1 < table["p"]["happiness"]
    assert table["random_lost"]["anger"] < 0.15


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("EmotionCNN", "block2.conv"),
        ("FastCNN", "stage1.widen.conv"),
        ("FastCNN", "stage1.pair.0.conv"),  # a path leads around it
    ],
)
def test_silencing_sets_at_once_equals_silencing_them_one_by_one(name, layer):
    torch.manual_seed(4)
    net = models.build(name, {"n_classes": 3, "size": 16, "width": 0.1}).eval()
    faces = tiny_faces(40)
    sets = [[], [0], [1, 2, 3], [4]]
    found = filters.named_rightly(net, faces, layer, sets, batch=16)
    for silent, right in zip(sets, found, strict=True):
        with filters.ablated(net, layer, silent):
            expected = training.predict(net, faces.images).argmax(axis=1) == faces.labels
        assert np.array_equal(right == 1, expected)
    assert n_hooks(net) == 0


def test_silencing_a_filter_that_does_not_exist_is_refused():
    net = Watcher([ACROSS])
    with pytest.raises(UsageError, match="filters 0 to 0"), filters.ablated(net, LAYER, [1]):
        net(torch.zeros(1, 1, 8, 8))


# ------------------------------------------------------------------------------------------ dissection


def test_intersection_over_union_is_summed_over_images():
    places = np.zeros((2, 1, 2, 2), bool)
    masks = np.zeros((2, 2, 2, 2), bool)
    places[0, 0, 0] = True  # the upper row of the first image
    places[1, 0, 1, 1] = True
    masks[0, 0, :, 0] = True  # the left column of the first: 1 in common, 4 in the union of both images
    masks[1, 1] = True  # all of the second: 1 in common, 2 + 4 in the union
    assert filters.iou(places, masks).tolist() == [[1 / 4, 1 / 6]]
    assert np.isnan(filters.iou(0 * places > 0, 0 * masks > 0)).all()


def test_a_threshold_is_the_quantile_of_all_places_of_all_images():
    torch.manual_seed(0)
    net = models.build("EmotionCNN", {"n_classes": 3, "size": 16, "width": 0.05}).eval()
    images = rng().integers(0, 256, (30, 16, 16)).astype(np.uint8)
    with filters.recording(net, "block1.conv") as kept, torch.no_grad():
        net(torch.from_numpy(images)[:, None])
    maps = kept["block1.conv"].transpose(0, 1).flatten(1).numpy()
    found = filters.thresholds(net, "block1.conv", images, 0.9, batch=7)
    n = int(np.ceil(0.1 * maps.shape[1]))
    np.testing.assert_allclose(found, np.sort(maps, axis=1)[:, -n], rtol=1e-5)


def test_a_filter_that_looks_where_the_au_acts_beats_shuffled_masks_and_one_that_always_looks_does_not():
    chance, n = rng(3), 60
    acts = chance.random(n) < 0.3
    images = np.full((n, 12, 12), 100, np.uint8)
    images[:, 2, 2] = 180  # a beauty spot on every face
    images[acts, 8, 8] = 220  # the AU
    masks = np.zeros((n, 2, 12, 12), bool)
    masks[acts, 0, 7:10, 7:10] = True
    masks[chance.random(n) < 0.3, 1, 1:4, 1:4] = True  # an AU at the spot, which nothing shows
    net = Watcher([[[1.0]], [[1.0]]], biases=[-190.0, -150.0])
    table = filters.dissect(net, LAYER, images, masks, rng(), quantile=0.985, n_null=99)
    p = table.set_index(["filter", "au"])["p"]
    assert p[0, 0] == 0.01
    assert p[1, 1] > 0.05
    row = table.set_index(["filter", "au"]).loc[(0, 0)]
    assert row["iou"] == pytest.approx(1 / 9)  # one of nine pixels, in every image in which it acts
    assert row["null_mean"] < row["null_high"] < row["iou"]
    with pytest.raises(DataError, match="59 rows of masks for 60"):
        filters.dissect(net, LAYER, images, masks[1:], rng())


# -------------------------------------------------------------------------------------------- controls


def stand_in(seed=0, size=16):
    """What :func:`runs.untrained` needs of a run."""
    settings = {"n_classes": 3, "size": size, "width": 0.05}
    torch.manual_seed(seed)
    net = models.build("EmotionCNN", settings).eval()
    net.normalise.mean.fill_(90.0)
    record = {"network": {"name": "EmotionCNN", "settings": settings}}
    return SimpleNamespace(record=record, model=lambda: net)


def test_the_untrained_network_differs_in_its_weights_alone():
    run, before = stand_in(), torch.get_rng_state()
    fresh, again, other = (runs.untrained(run, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert float(fresh.normalise.mean) == 90
    assert not torch.equal(fresh.block1.conv.weight, run.model().block1.conv.weight)
    assert torch.equal(fresh.block1.conv.weight, again.block1.conv.weight)
    assert not torch.equal(fresh.block1.conv.weight, other.block1.conv.weight)


@pytest.mark.parametrize("people", [0, 12])
def test_shuffling_deals_out_the_emotions_of_train_and_val_and_leaves_the_rest_alone(people):
    faces, settings = tiny_faces(people=people), TrainConfig(corpus="synthetic-tiny", width=0.05, n_epochs=1)
    shuffled = filters.shuffled_emotions(settings, faces, rng())
    before, after = training.divided(settings, faces), training.divided(settings, shuffled)
    for name in ("train", "val", "test"):
        one, two = getattr(before, name), getattr(after, name)
        assert np.array_equal(one.table["row"], two.table["row"]), name
        assert np.array_equal(np.bincount(one.labels), np.bincount(two.labels))
        assert np.array_equal(one.labels, two.labels) == (name == "test")
    assert training.key_of(settings, faces) != training.key_of(settings, shuffled)
    assert "label" not in faces.table


def test_hog_cells_point_across_the_edge_and_lie_in_reading_order():
    image = np.full((1, 16, 24), 100, np.uint8)
    image[0, :8, 12:] = 200  # an upright edge in the second cell of the first row
    cells = filters.hog_cells(image).reshape(2, 3, 9)
    assert cells[0, 1].argmax() in (0, 8)  # the gradient runs from left to right: 0 or 180 degrees
    assert cells[0, 1].max() > 0.5
    assert cells[1, 0].max() == 0
    with pytest.raises(UsageError, match="cell=8"):
        filters.hog_cells(image[:, :15])


def test_cascading_replaces_one_layer_more_each_time_from_the_top():
    run = stand_in()
    net, fresh = run.model(), runs.untrained(run, 7)
    steps = filters.cascade(net, fresh)
    assert [name for name, _ in steps] == ["output", "dense", "block3.conv", "block2.conv", "block1.conv"]
    second = steps[1][1]
    assert torch.equal(second.dense.weight, fresh.dense.weight)
    assert torch.equal(second.block3.conv.weight, net.block3.conv.weight)
    assert [name for name, _ in filters.cascade(net, fresh, "block2.conv")] == ["block2.conv", "block1.conv"]


def test_batch_norm_is_randomised_with_its_convolution():
    torch.manual_seed(0)
    net, fresh = (models.build("FastCNN", {"n_classes": 3, "size": 16, "width": 0.05}) for _ in range(2))
    names = [name for name, _ in filters.cascade(net, fresh, "stem.0.conv")]
    assert names == ["stem.0.norm", "stem.0.conv"]


@pytest.mark.parametrize("method", filters.METHODS)
def test_maps_of_the_same_weights_are_the_same_and_of_random_ones_are_not(method):
    run, images = stand_in(size=24), rng().integers(0, 256, (6, 24, 24)).astype(np.uint8)
    net = run.model()
    same = filters.randomisation_check(method, net, net, filters.OUTPUT, images, 1)
    assert same["rank_correlation"].to_numpy() == pytest.approx(1)
    assert same["ssim"].to_numpy() == pytest.approx(1)
    assert len(same) == 5 * 6
    other = filters.randomisation_check(
        method, net, runs.untrained(run, 9), filters.OUTPUT, images, np.arange(6) % 3
    )
    last = other[other["randomised"] == "block1.conv"]
    assert last["rank_correlation"].mean() < 0.5
    floor = filters.chance_similarity([filters.attribution(method, net, filters.OUTPUT, images, 1)])
    assert len(floor) == 6


def test_similarity_of_silent_maps_is_not_told():
    maps = filters.Maps(rng().random((2, 4, 4), np.float32), np.array([True, False]))
    assert filters.similarities(maps, maps)["ssim"].isna().tolist() == [False, True]


def test_structural_similarity_of_flat_pictures_is_its_luminance_term():
    a, b = np.full((20, 20), 0.5), np.full((20, 20), 0.25)
    assert filters.ssim(a, b) == pytest.approx((2 * 0.5 * 0.25 + 1e-4) / (0.25 + 0.0625 + 1e-4))
    noisy = rng().random((20, 20))
    assert filters.ssim(noisy, noisy) == pytest.approx(1)
    assert filters.ssim(noisy, noisy[::-1]) < 0.5
