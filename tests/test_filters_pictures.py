"""Attribution equals hand and Captum, says when it has nothing to say; maximisation climbs."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from filter_world import ACROSS, DOWN, Watcher, n_hooks, striped, striped_faces
from torch import nn

from ferlib import filters, models
from ferlib.config import UsageError

LAYER = "block.conv"


class ByHand(nn.Module):
    """4x4 pixels -> conv 1x1 with weights (1, -1) -> ReLU -> conv 2x2, step 2, bias 20 -> ReLU."""

    def __init__(self):
        super().__init__()
        first, second = nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 1, 2, stride=2)
        first.weight.data = torch.tensor([1.0, -1.0]).reshape(2, 1, 1, 1)
        second.weight.data = torch.tensor([[[[2.0, -3], [1, 1]], [[1, 1], [-4, 2]]]])
        second.bias.data = torch.tensor([20.0])
        self.first = nn.Sequential(OrderedDict(conv=first, relu=nn.ReLU()))
        self.second = nn.Sequential(OrderedDict(conv=second, relu=nn.ReLU()))

    def forward(self, x):
        return self.second(self.first(x)).amax(dim=(2, 3))


FACE = np.array([[1.0, 2, 9, 9], [-3, 4, 9, 9], [9, 9, 9, 9], [9, 9, 9, 9]], np.float32)[None]
CORNER = {  # of the unit at row 0, column 0, worked out by hand for each rule
    "gradient": [[2, -3], [4, 1]],  # 2 and -3 and 1 through the first map; -1 * -4 through the second
    "guided": [[2, 0], [0, 1]],  # -3 and -4 do not pass a ReLU backwards
    "deconvnet": [
        [1, -1],
        [1, -1],
    ],  # whoever was silent, positive signals pass: [[2,0],[1,1]] - [[1,1],[0,2]]
}


@pytest.mark.parametrize("method", CORNER)
def test_a_4x4_case_equals_the_one_worked_out_by_hand(method):
    found = filters.attribution(method, ByHand(), "second.conv", FACE, [0], np.array([[0, 0]]))
    expected = np.zeros((1, 4, 4))
    expected[0, :2, :2] = CORNER[method]
    assert found.values.tolist() == expected.tolist()
    assert found.usable.tolist() == [True]


def tiny(seed):
    torch.manual_seed(seed)
    return models.build("EmotionCNN", {"n_classes": 3, "size": 16, "width": 0.06}).eval()


@pytest.mark.filterwarnings("ignore:Setting backward hooks")
@pytest.mark.parametrize("seed", range(3))
def test_a_batch_with_a_unit_an_image_agrees_with_captum_one_by_one(seed):
    from captum.attr import NeuronDeconvolution, NeuronGuidedBackprop

    net, rng = tiny(seed), np.random.default_rng(seed)
    images = rng.integers(0, 256, (6, 16, 16)).astype(np.uint8)
    chosen, positions = rng.integers(0, 8, 6), rng.integers(0, 8, (6, 2))
    for call, rival in (
        (filters.guided_backprop, NeuronGuidedBackprop),
        (filters.deconvnet, NeuronDeconvolution),
    ):
        found = call(net, "block2.conv", images, chosen, positions)
        for i, (f, (row, column)) in enumerate(zip(chosen, positions, strict=True)):
            x = torch.from_numpy(images[i : i + 1, None]).float().requires_grad_()
            expected = rival(net, net.block2.relu).attribute(x, (int(f), int(row), int(column)))
            np.testing.assert_allclose(found.values[i], expected[0, 0].detach(), rtol=1e-4, atol=1e-7)
    assert n_hooks(net) == 0


def test_without_a_position_the_strongest_unit_is_taken():
    net = tiny(0)
    images = np.random.default_rng(1).integers(0, 256, (4, 16, 16)).astype(np.uint8)
    values, positions = filters.strongest(net, "block1.conv", images, 2)
    by_atlas = filters.rank(net, images, "block1.conv", k=4)
    assert sorted(values.tolist(), reverse=True) == by_atlas.top_values[2].tolist()
    assert np.array_equal(positions[by_atlas.top_images[2]], by_atlas.top_positions[2])
    chosen = filters.guided_backprop(net, "block1.conv", images, 2)
    named = filters.guided_backprop(net, "block1.conv", images, 2, positions)
    assert np.array_equal(chosen.values, named.values)


def test_a_class_of_the_output_is_explained_too():
    net = tiny(0)
    images = np.random.default_rng(1).integers(0, 256, (2, 16, 16)).astype(np.uint8)
    found = filters.attribution("gradient", net, filters.OUTPUT, images, [0, 2])
    x = torch.from_numpy(images[:, None]).float().requires_grad_()
    logits = net(x)
    (slope,) = torch.autograd.grad(logits[0, 0] + logits[1, 2], x)
    np.testing.assert_allclose(found.values, slope[:, 0], rtol=1e-5, atol=1e-8)


def test_a_map_that_says_nothing_is_reported():
    net = Watcher([ACROSS, DOWN], biases=[0.0, -1e6])  # the second filter is silent for ever
    found = filters.guided_backprop(net, LAYER, striped_faces().images[:3], [0, 1, 0])
    assert found.usable.tolist() == [True, False, True]
    assert found.reason == "1 of 3 maps are all zero or not finite and are not drawn."
    net.block.conv.weight.data[0] = float("inf")
    found = filters.guided_backprop(net, LAYER, striped_faces().images[:1], 0, np.array([[4, 4]]))
    assert not found.usable.any()


def test_positions_of_a_wrong_shape_are_refused():
    with pytest.raises(UsageError, match=r"\(2, 2\) was expected"):
        filters.deconvnet(Watcher([ACROSS]), LAYER, striped_faces().images[:2], 0, np.zeros((3, 2), int))


def test_covering_what_a_filter_answers_to_silences_it_and_covering_the_rest_does_not():
    net, face = Watcher([ACROSS]), striped(60, size=12)[None]
    lost = filters.occlusion(net, LAYER, face, 0, window=4, stride=4).values
    assert lost.shape == (1, 12, 12)
    seen, ((row, column),) = filters.strongest(net, LAYER, face, 0)
    assert seen.tolist() == [180]
    assert (lost[0, :4] == 0).all()  # above the line
    assert lost[0, row, column] > 50  # on the line
    whole_face = filters.occlusion(net, LAYER, face, 0, window=12).values
    assert (whole_face == 180).all()


def test_an_occlusion_map_equals_covering_by_hand_unit_by_unit_and_class_by_class():
    net, rng = tiny(0), np.random.default_rng(2)
    images, window = rng.integers(0, 256, (2, 16, 16)).astype(np.uint8), 6
    positions = np.array([[2, 3], [5, 1]])
    units = filters.occlusion(net, "block2.conv", images, [1, 4], positions, window, stride=5).values
    classes = filters.attribution("occlusion", net, filters.OUTPUT, images, [0, 2]).values
    for i, (f, c, (row, column)) in enumerate(zip([1, 4], [0, 2], positions, strict=True)):
        for found, side, corners, read in (
            (units[i], window, (0, 5, 10), lambda kept, _, f=f, y=row, x=column: kept[0, f, y, x]),
            (classes[i], 8, (0, 4, 8), lambda _, answer, c=c: answer[0, c]),
        ):
            lost = np.full((9, 16, 16), np.nan)
            for k, (top, left) in enumerate((t, s) for t in corners for s in corners):
                covered = images[i].astype(np.float32)
                covered[top : top + side, left : left + side] = images[i].mean()
                answers = []
                for face in (images[i].astype(np.float32), covered):
                    with filters.recording(net, "block2.conv") as kept, torch.no_grad():
                        answer = net(torch.from_numpy(face)[None, None])
                    answers.append(float(read(kept["block2.conv"], answer)))
                lost[k, top : top + side, left : left + side] = answers[0] - answers[1]
            np.testing.assert_allclose(found, np.nanmean(lost, axis=0), rtol=1e-3, atol=1e-4)


def test_a_rival_answers_most_at_the_same_place_among_the_other_filters():
    net, faces = Watcher([ACROSS, DOWN, np.multiply(ACROSS, 0.5)]), striped_faces().images
    across = striped(60, size=12)[None]
    place = filters.strongest(net, LAYER, across, 0)[1]
    assert filters.rivals(net, LAYER, across, [0], place).tolist() == [2]
    assert filters.rivals(net, LAYER, across, [2], place).tolist() == [0]
    with filters.recording(net, LAYER) as kept, torch.no_grad():
        net(torch.from_numpy(faces)[:, None])
    chosen, places = np.arange(len(faces)) % 3, np.tile([4, 4], (len(faces), 1))
    found = filters.rivals(net, LAYER, faces, chosen, places)
    for i, own in enumerate(chosen):
        others = [f for f in range(3) if f != own]
        assert found[i] == max(others, key=lambda f, i=i: float(kept[LAYER][i, f, 4, 4]))


def test_a_silent_unit_has_no_occlusion_map():
    net = Watcher([ACROSS, DOWN], biases=[0.0, -1e6])
    assert filters.occlusion(net, LAYER, striped_faces().images[:2], [0, 1], window=4).usable.tolist() == [
        True,
        False,
    ]


def test_a_cover_larger_than_the_face_is_refused():
    with pytest.raises(UsageError, match="window=9"):
        filters.occlusion(Watcher([ACROSS]), LAYER, striped(60)[None], 0, window=9)


# ---------------------------------------------------------------------------------------- maximisation


def test_five_steps_raise_the_objective_of_every_filter():
    net = tiny(0)
    found = filters.maximise(net, "block3.conv", np.arange(8), 5, np.random.default_rng(0), size=16)
    assert found.images.shape == (8, 16, 16)
    assert found.objective.shape == (6, 8)
    assert (found.objective[-1] > found.objective[0]).all()
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert n_hooks(net) == 0


def test_the_picture_that_a_known_filter_asks_for_shows_its_pattern():
    found = filters.maximise(Watcher([ACROSS, DOWN]), LAYER, [0, 1], 60, np.random.default_rng(0), size=12)
    for image, kernel in zip(found.images, (ACROSS, DOWN), strict=True):
        patch = image[5:8, 5:8].astype(float)  # what the unit in the middle, at row and column 6, sees
        assert np.corrcoef(patch.ravel(), np.ravel(kernel))[0, 1] > 0.8


def test_the_same_rng_climbs_to_the_same_picture():
    climbed = [
        filters.maximise(tiny(0), "block1.conv", [1], 3, np.random.default_rng(seed), size=16).images
        for seed in (5, 5, 6)
    ]
    assert np.array_equal(climbed[0], climbed[1])
    assert not np.array_equal(climbed[0], climbed[2])
