"""The networks are the paper's, layer by layer, and can be watched."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ferlib import models
from ferlib.config import UsageError


def faces(n=2, size=48):
    return torch.randint(0, 256, (n, 1, size, size), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def test_the_paper_network_has_the_papers_number_of_weights():
    conv = (25 * 1 * 64 + 64) + (25 * 64 * 128 + 128) + (25 * 128 * 256 + 256)
    dense = (256 * 6 * 6 * 512 + 512) + (512 * 8 + 8)
    assert models.n_parameters(models.EmotionCNN(8, size=48)) == conv + dense


def test_the_paper_network_computes_what_its_formula_says():
    net = models.EmotionCNN(7, size=16, width=0.125).eval()
    net.normalise.mean.fill_(100.0)
    net.normalise.std.fill_(50.0)
    x = faces(size=16)
    by_hand = (x.float() - 100) / 50
    for block in (net.block1, net.block2, net.block3):
        by_hand = F.max_pool2d(F.relu(F.conv2d(by_hand, block.conv.weight, block.conv.bias, padding=2)), 2)
    by_hand = F.relu(F.linear(by_hand.flatten(1), net.dense.weight, net.dense.bias))
    by_hand = F.linear(by_hand, net.output.weight, net.output.bias)
    torch.testing.assert_close(net(x), by_hand)


@pytest.mark.parametrize("name", models.NETWORKS)
def test_every_relu_is_a_module_of_its_own_and_out_of_place(name):
    net = models.build(name, {"n_classes": 7, "size": 48, "width": 0.125})
    relus = [m for m in net.modules() if isinstance(m, nn.ReLU)]  # modules() names a shared module once
    calls = []
    for relu in relus:
        relu.register_forward_hook(lambda *_: calls.append(1))
    net.eval()(faces())
    assert len(relus) == len(calls) == {"EmotionCNN": 4, "FastCNN": 11}[name]
    assert not any(relu.inplace for relu in relus)


def test_filters_have_the_addresses_of_the_book():
    names = dict(models.EmotionCNN(width=0.125).named_modules())
    for block in ("block1", "block2", "block3"):
        assert isinstance(names[f"{block}.conv"], nn.Conv2d)
        assert isinstance(names[f"{block}.relu"], nn.ReLU)


@pytest.mark.parametrize("name", models.NETWORKS)
@pytest.mark.parametrize(("size", "channels", "n_classes"), [(8, 1, 2), (48, 3, 7), (96, 1, 8)])
def test_size_channels_and_classes_are_settings(name, size, channels, n_classes):
    settings = {"n_classes": n_classes, "size": size, "channels": channels, "width": 0.0625}
    net = models.build(name, settings).eval()
    assert net(torch.zeros(2, channels, size, size, dtype=torch.uint8)).shape == (2, n_classes)


def test_width_multiplies_every_layer():
    net = models.EmotionCNN(width=0.25)
    maps = [b.conv.out_channels for b in (net.block1, net.block2, net.block3)]
    assert [*maps, net.dense.out_features] == [16, 32, 64, 128]


@pytest.mark.parametrize("name", models.NETWORKS)
def test_grey_levels_may_be_bytes_or_floats(name):
    net = models.build(name, {"n_classes": 3, "size": 16, "width": 0.0625}).eval()
    torch.testing.assert_close(net(faces(size=16)), net(faces(size=16).float()))


def test_normalisation_travels_with_the_weights():
    net = models.EmotionCNN(width=0.0625)
    net.normalise.mean.fill_(12.0)
    other = models.EmotionCNN(width=0.0625)
    other.load_state_dict(net.state_dict())
    assert other.normalise.mean == 12.0


def test_faces_too_small_to_pool_three_times_are_refused():
    with pytest.raises(UsageError, match="size=7"):
        models.EmotionCNN(size=7)


def test_an_unknown_network_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError, match="EmotionCNN"):
        models.build("EmotionCNM", {})
