"""Networks of drawn faces that name photographs: on bands of light whose place is their class."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from ferlib import distance
from ferlib.datasets import FaceSet
from ferlib.labels import FER2013_CODES

SMALL = distance.Training(
    n_faces=14, n_epochs=8, n_networks=1, widths=(8, 8, 8, 8), lr=0.03, dropout=0.0, seed=0
)


def bands(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures (N, 48, 48) uint8 with one bright band each, 5 px high: the lower, the higher its class."""
    classes = torch.arange(n) % 7
    rows = torch.arange(48)[None, :, None]
    bright = (rows - 6 - 6 * classes[:, None, None]).abs() < 3
    noise = torch.randint(0, 40, (n, 48, 48), generator=torch.Generator().manual_seed(0))
    return (60 + 120 * bright + noise).to(torch.uint8), classes


def test_a_network_learns_what_every_new_photograph_leaves_in_place():
    images, classes = bands(224)
    net = distance.trained(images.numpy(), classes.numpy(), SMALL, number=0)
    said = distance.log_probabilities([net], images[:70].numpy()).argmax(1)
    assert (said == classes[:70]).float().mean() > 0.6
    dealt = classes[torch.randperm(224, generator=torch.Generator().manual_seed(1))]
    net = distance.trained(images.numpy(), dealt.numpy(), SMALL, number=0)
    said = distance.log_probabilities([net], images[:70].numpy()).argmax(1)
    assert (said == classes[:70]).float().mean() < 0.4


def test_a_face_and_its_mirror_image_are_named_alike():
    faces = torch.randint(0, 256, (5, 48, 48), generator=torch.Generator().manual_seed(0)).numpy()
    net = distance.Network(SMALL, window=13).eval()
    score = distance.log_probabilities([net, net], faces.astype(np.uint8))
    mirrored = distance.log_probabilities([net], faces[:, :, ::-1].astype(np.uint8).copy())
    torch.testing.assert_close(score, mirrored, atol=1e-5, rtol=0)


def test_local_contrast_forgets_the_light_and_keeps_the_edge():
    step = torch.zeros(1, 1, 48, 48)
    step[..., 24:] = 60.0
    shaded = step + torch.linspace(0, 90, 48)[None, None, :, None]  # darker above, lighter below
    whole, lit = distance.standardised(step), distance.standardised(shaded)
    near, near_lit = distance.standardised(step, 13), distance.standardised(shaded, 13)
    assert (whole - lit).abs().max() > 0.5
    assert (near - near_lit)[..., 6:-6, :].abs().max() < 0.1
    assert near[0, 0, 9, 8].item() == 0  # flat: far from the edge
    # beside the edge: 6 of 13 columns are bright, and each pixel's deviation is from its own surroundings
    assert near[0, 0, 9, 23].item() < -0.5 < 0.5 < near[0, 0, 9, 24].item()
    x = (
        torch.randint(0, 256, (1, 1, 48, 48), generator=torch.Generator().manual_seed(0))
        .double()
        .numpy()[0, 0]
    )
    centred = np.array(
        [[x[i, j] - x[i - 1 : i + 2, j - 1 : j + 2].mean() for j in range(9, 12)] for i in range(9, 12)]
    )
    expected = centred[1, 1] / (np.sqrt((centred**2).mean()) + 8)
    assert distance.standardised(torch.as_tensor(x)[None, None], 3)[0, 0, 10, 10].item() == pytest.approx(
        expected, rel=1e-4
    )


def test_nearer_faces_are_larger_about_the_middle():
    far = torch.arange(48.0).expand(1, 1, 48, 48)  # each pixel says how far right it lies
    near = distance.nearer(far, 4)
    expected = 23.5 + (torch.arange(48) - 23.5) * 48 / 56
    torch.testing.assert_close(near[0, 0, 7], expected, atol=1e-4, rtol=0)
    assert torch.equal(distance.nearer(far, 0), far)


def test_photographs_anew_differ_in_light_and_framing_and_are_the_same_under_one_seed():
    images, _ = bands(8)
    one, again, other = (
        distance.photographed_anew(distance.standardised(images[:, None]), torch.Generator().manual_seed(s))
        for s in (0, 0, 1)
    )
    assert torch.equal(one, again)
    assert one.shape == (8, 1, 48, 48)
    assert torch.isfinite(one).all()
    assert ((one - other).abs().mean((1, 2, 3)) > 0.1).all()


def test_calibrated_answers_have_the_published_shares_on_unlabelled_photographs():
    shares = distance.calibration(prior=1.0).exp()
    assert FER2013_CODES[shares.argmax().item()] == "happiness"
    assert shares[1].item() == pytest.approx(547 / 35887)
    leaning = torch.randn(500, 7, generator=torch.Generator().manual_seed(0)) + torch.tensor(
        [3.0] + 6 * [0.0]
    )
    mean = (leaning + distance.calibration(leaning, prior=1.0)).softmax(1).mean(0)
    torch.testing.assert_close(mean, shares, atol=1e-4, rtol=0)
    assert (leaning + distance.calibration(prior=1.0)).softmax(1).mean(0)[0] > 2 * shares[0]  # what it mends
    # a weaker prior favours the rare: disgust gains on happiness by the part of the log ratio that is left out
    for score in (None, leaning):
        gain = distance.calibration(score, 0.4) - distance.calibration(score, 1.0)
        assert (gain[1] - gain[3]).item() == pytest.approx(0.6 * np.log(8989 / 547))


def test_photographs_are_named_from_drawn_faces_whatever_the_number_of_workers(monkeypatch):
    monkeypatch.setattr(distance, "_BATCH", 7)
    images, classes = distance.draw_balanced(14, seed=0, workers=1)
    assert np.bincount(classes).tolist() == [2] * 7
    assert images.shape == (14, 48, 48)
    table = pd.DataFrame({"row": np.arange(3), "emotion": ["anger", "fear", "neutral"]})
    faces = FaceSet(bands(3)[0].numpy(), table, "fer2013", "", False, {}, ("anger", "fear", "neutral"))
    how = dataclasses.replace(SMALL, n_epochs=1)
    nets = distance.networks(dataclasses.replace(how, n_networks=2), workers=1)
    assert [net.window for net in nets] == [0, distance.WINDOW]
    named = distance.predictions(nets, faces)
    assert not np.allclose(named["fear"], distance.predictions(nets, faces, bands(7)[0].numpy())["fear"])
    assert named["truth"].tolist() == ["anger", "fear", "neutral"]
    np.testing.assert_allclose(named[list(FER2013_CODES)].sum(axis=1), 1, rtol=1e-6)
