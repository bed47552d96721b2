"""Filters are watched without leaving a trace, ranked as by sorting, and see what their receptive field says."""

import numpy as np
import pytest
import torch
from filter_world import ACROSS, DOWN, Watcher, n_hooks, striped, striped_faces
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from ferlib import filters, models
from ferlib.config import DataError, UsageError

LAYER = "block.conv"


def small(name="EmotionCNN", size=16, seed=0):
    torch.manual_seed(seed)
    return models.build(name, {"n_classes": 3, "size": size, "width": 0.05}).eval()


def some_faces(n=5, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size)).astype(np.uint8)


# ------------------------------------------------------------------------------------------- recording


@pytest.mark.parametrize(
    ("name", "layer"), [("EmotionCNN", "block2.conv"), ("FastCNN", "stage1.pair.1.conv")]
)
def test_an_activation_is_read_after_the_convolutions_own_relu(name, layer):
    net, kept_by_hand = small(name), []
    block = net.get_submodule(layer.rpartition(".")[0])
    handle = block.relu.register_forward_hook(lambda module, inputs, output: kept_by_hand.append(inputs[0]))
    with filters.recording(net, layer) as kept:
        net(torch.from_numpy(some_faces())[:, None])
    handle.remove()
    assert torch.equal(kept[layer], kept_by_hand[0].clamp(min=0))
    assert layer in filters.conv_layers(net)


def test_layers_are_told_in_the_order_of_the_network():
    assert filters.conv_layers(small()) == ("block1.conv", "block2.conv", "block3.conv")
    assert len(filters.conv_layers(small("FastCNN"))) == 11


def test_a_second_batch_replaces_the_first():
    net = Watcher([ACROSS])
    with filters.recording(net, LAYER) as kept:
        net(torch.zeros(1, 1, 8, 8))
        net(torch.ones(3, 1, 8, 8))
        assert kept[LAYER].shape == (3, 1, 8, 8)


class Breaks(Watcher):
    def forward(self, faces):
        super().forward(faces)
        raise RuntimeError("broken on purpose")


@pytest.mark.parametrize(
    "call",
    [
        lambda net, faces: filters.rank(net, faces, LAYER),
        lambda net, faces: filters.max_activations(net, faces, LAYER),
        lambda net, faces: filters.guided_backprop(net, LAYER, faces, 0),
        lambda net, faces: filters.deconvnet(net, LAYER, faces, 0),
        lambda net, faces: filters.occlusion(net, LAYER, faces, 0),
        lambda net, faces: filters.maximise(net, LAYER, [0], 2, np.random.default_rng(0), size=8),
        lambda net, faces: filters.receptive_field(net, LAYER, np.array([0, 0]), 8),
    ],
    ids=["rank", "max_activations", "guided", "deconvnet", "occlusion", "maximise", "receptive_field"],
)
def test_no_hook_mode_or_frozen_weight_survives_a_model_that_raises(call):
    net = Breaks([ACROSS]).train()
    with pytest.raises(RuntimeError, match="on purpose"):
        call(net, striped_faces().images)
    assert n_hooks(net) == 0
    assert all(module.training for module in net.modules())
    assert all(p.requires_grad for p in net.parameters())


def test_no_hook_survives_an_error_inside_the_attribution():
    net = Watcher([ACROSS])
    with pytest.raises(IndexError):
        filters.guided_backprop(net, LAYER, striped_faces().images[:2], 0, np.array([[0, 0], [99, 0]]))
    assert n_hooks(net) == 0


def test_silencing_ends_with_its_block_even_where_it_raises():
    net = Breaks([ACROSS])
    with pytest.raises(RuntimeError, match="on purpose"), filters.ablated(net, LAYER, [0]):
        net(torch.zeros(1, 1, 8, 8))
    assert n_hooks(net) == 0


class Functional(Watcher):
    """Calls F.relu, which no hook can see."""

    def __init__(self, kernels):
        super().__init__(kernels)
        self.block = nn.Sequential(self.block.conv)
        self.block.conv = self.block[0]

    def forward(self, faces):
        return F.relu(self.block[0](faces.float())).amax(dim=(2, 3))


class Beside(Watcher):
    """Has an nn.ReLU where it should be, and a functional one further up."""

    def forward(self, faces):
        return torch.relu(super().forward(faces) - 1)


def test_a_functional_relu_is_refused_with_the_way_out():
    net = Functional([ACROSS])
    layer = filters.conv_layers(net)[0]
    for call in (filters.rank, filters.max_activations):
        with pytest.raises(
            UsageError, match=r"F\.relu can neither be watched .* separate nn\.ReLU\(\) module"
        ):
            call(net, striped_faces(), layer)
    with pytest.raises(UsageError, match=r"calls F\.relu 1 times outside"):
        filters.guided_backprop(Beside([ACROSS]), LAYER, striped_faces().images, 0)


def test_an_inplace_relu_is_refused_by_name():
    net = Watcher([ACROSS])
    net.block.relu = nn.ReLU(inplace=True)
    for call in (filters.guided_backprop, filters.deconvnet):
        with pytest.raises(UsageError, match=r"block\.relu is nn\.ReLU\(inplace=True\)"):
            call(net, LAYER, striped_faces().images, 0)
    with pytest.raises(UsageError, match="inplace"):
        filters.rank(net, striped_faces(), LAYER)


def test_a_relu_that_runs_twice_or_never_is_refused():
    net = Watcher([ACROSS])
    net.block.append(net.block.relu)
    with pytest.raises(UsageError, match="ran twice"):
        filters.rank(net, striped_faces(), LAYER)
    net = Beside([ACROSS])
    net.forward = lambda faces: net.block.conv(faces)
    with pytest.raises(UsageError, match="never ran"):
        filters.rank(net, striped_faces(), LAYER)


def test_an_unknown_layer_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match=r"Did you mean 'block1\.conv'"):
        filters.rank(small(), some_faces(), "block1_conv")


# ----------------------------------------------------------------------------------------------- atlas


def test_the_filter_that_follows_a_pattern_ranks_the_faces_that_show_it_most():
    faces = striped_faces()
    found = filters.rank(Watcher([ACROSS, DOWN]), faces, LAYER, k=4)
    across, down = (set(faces.table["emotion"].iloc[top]) for top in found.top_images)
    assert (across, down) == ({"anger"}, {"happiness"})
    strongest = faces.table["subject"].iloc[found.top_images[0]].tolist()
    assert strongest == ["S5", "S5", "S4", "S4"]
    assert found.top_values[0].tolist() == [270, 270, 240, 240]  # three bright pixels of 90, and of 80


def test_ranking_equals_sorting_all_activations():
    net, faces = small(), some_faces(40)
    found = filters.rank(net, faces, "block2.conv", k=7, batch=9)
    acts = filters.max_activations(net, faces, ("block1.conv", "block2.conv"), batch=16)["block2.conv"]
    order = np.argsort(-acts, axis=0, kind="stable")[:7].T
    assert np.array_equal(found.top_images, order)
    np.testing.assert_allclose(found.top_values, np.take_along_axis(acts.T, order, axis=1), rtol=1e-6)
    with filters.recording(net, "block2.conv") as kept, torch.no_grad():
        net(torch.from_numpy(faces)[:, None])
    maps = kept["block2.conv"].numpy()
    for f, image, value, (row, column) in zip(
        range(len(found)),
        found.top_images[:, 3],
        found.top_values[:, 3],
        found.top_positions[:, 3],
        strict=True,
    ):
        assert maps[image, f, row, column] == pytest.approx(value, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(
    levels=st.lists(st.integers(0, 3), min_size=2, max_size=30),
    cut=st.integers(1, 29),
    batch=st.integers(1, 8),
    k=st.integers(1, 6),
)
def test_the_atlas_of_two_halves_merged_equals_the_atlas_of_the_whole(levels, cut, batch, k):
    images = np.stack([striped(60 * level) for level in levels])  # few levels: many ties
    net, cut = Watcher([ACROSS, DOWN, np.negative(ACROSS)]), min(cut, len(levels) - 1)
    whole = filters.rank(net, images, LAYER, k, batch)
    halves = [filters.rank(net, part, LAYER, k, batch) for part in (images[:cut], images[cut:])]
    merged = halves[0].merge(halves[1])
    for name in ("top_images", "top_values", "top_positions", "histogram", "fires", "quantiles"):
        assert np.array_equal(getattr(merged, name), getattr(whole, name)), name
    assert merged.n_images == whole.n_images


def test_atlases_of_different_layers_do_not_merge():
    net, faces = small(), some_faces()
    with pytest.raises(DataError, match=r"block1\.conv"):
        filters.rank(net, faces, "block1.conv").merge(filters.rank(net, faces, "block2.conv"))


def test_quantiles_are_at_most_a_bin_off():
    net, faces = small(), some_faces(200)
    found = filters.rank(net, faces, "block1.conv")
    acts = filters.max_activations(net, faces, "block1.conv")["block1.conv"]
    exact = np.quantile(acts, found.levels, axis=0, method="inverted_cdf").T
    assert found.quantiles.shape == (len(found), len(found.levels))
    np.testing.assert_allclose(found.quantiles, exact, rtol=2 ** (1 / 32) - 1 + 1e-6)


def test_dead_active_and_always_on_filters_follow_their_share_of_faces():
    bright = np.full((200, 8, 8), 50, np.uint8)
    bright[:2] += 100  # 1 % of the faces are bright
    net = Watcher(np.ones((4, 1, 1)), biases=[-200.0, -100.0, -40.0, -1000.0])
    found = filters.rank(net, bright, LAYER)
    assert found.fires.tolist() == pytest.approx([0, 0.01, 1, 0])
    assert found.state().tolist() == ["dead", "active", "always-on", "dead"]
    assert found.state(share=0.02)[1] == "dead"
    assert found.quantiles[0].tolist() == [0] * len(found.levels)


def test_activations_that_are_no_numbers_are_refused():
    net = small()
    net.block1.conv.bias.data[0] = float("nan")
    with pytest.raises(DataError, match="not finite"):
        filters.rank(net, some_faces(), "block1.conv")


def test_faces_of_a_wrong_shape_are_refused():
    with pytest.raises(DataError, match=r"\(N, H, W\)"):
        filters.rank(small(), np.zeros((0, 16, 16), np.uint8), "block1.conv")


# ------------------------------------------------------------------------------------ receptive fields


def supports(net, layer, size):
    """Positions (M, 2) of units at corners, edges and inside, and the box (M, 4) of the pixels that move each.

    Every weight is 1 and pooling takes the mean, so that every pixel in the field counts.
    """
    for parent in list(net.modules()):
        for name, module in parent.named_children():
            if isinstance(module, nn.MaxPool2d):
                setattr(parent, name, nn.AvgPool2d(module.kernel_size))
            elif isinstance(module, nn.Conv2d):
                nn.init.ones_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
    image = torch.full((1, 1, size, size), 200.0, requires_grad=True)
    with filters.recording(net, layer) as kept:
        net(image)
    maps = kept[layer][0, 0]
    some = sorted({0, 1, len(maps) // 2, len(maps) - 1})
    positions = np.array([(row, column) for row in some for column in some])
    boxes = []
    for row, column in positions:
        (slope,) = torch.autograd.grad(maps[row, column], image, retain_graph=True)
        seen = np.argwhere(slope[0, 0].numpy() != 0)
        boxes.append([*seen.min(axis=0), *(seen.max(axis=0) + 1)])
    return positions, np.array(boxes)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("EmotionCNN", "block1.conv"),
        ("EmotionCNN", "block2.conv"),
        ("EmotionCNN", "block3.conv"),
        ("FastCNN", "stem.1.conv"),
        ("FastCNN", "stage2.widen.conv"),
        ("FastCNN", "stage2.pair.1.conv"),
    ],
)
def test_a_receptive_field_is_where_the_gradient_is_not_zero(name, layer):
    net, size = small(name, size=40), 40
    field = filters.field_of(net, layer, size)
    positions, expected = supports(net, layer, size)
    assert np.array_equal(field.boxes(positions, size), expected)
    assert np.array_equal(filters.receptive_field(net, layer, positions[3], size), expected[3])


def test_a_unit_of_the_papers_last_convolution_sees_32_pixels():
    assert filters.field_of(small(size=48), "block3.conv", 48) == filters.Field(side=32, step=4, first=-14)


def test_what_follows_a_global_pooling_has_no_receptive_field():
    net = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Conv2d(1, 1, 1), nn.ReLU())
    with pytest.raises(UsageError, match="whole image"):
        filters.receptive_field(net, "1", np.array([0, 0]), 8)
