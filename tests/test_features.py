"""Features of a frozen network are those of its layers, computed once, and never taken for other faces' features."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_faces import tiny_faces

from ferlib import datasets, features, training
from ferlib.config import UsageError


@pytest.fixture(scope="module")
def faces():
    return tiny_faces(n=120)


@pytest.fixture(scope="module")
def run(home, faces):
    settings = training.TrainConfig(corpus="tiny", width=0.05, n_epochs=1, threads=1, device="cpu")
    return training.ensure(settings, faces)


@pytest.fixture
def passes(monkeypatch):
    """Which sets of faces were passed through a network."""
    seen = []
    compute = features._compute
    monkeypatch.setattr(
        features, "_compute", lambda run, faces, *rest: (seen.append(faces), compute(run, faces, *rest))
    )
    return seen


def by_hand(run, images, module):
    caught = []
    net = run.model()
    dict(net.named_modules())[module].register_forward_hook(lambda m, i, output: caught.append(output))
    with torch.inference_mode():
        logits = net(torch.from_numpy(np.asarray(images))[:, None].float())
    return caught[0].flatten(1).numpy(), logits


@pytest.mark.parametrize("layer", ["relu", "block3.pool"])
def test_features_are_what_the_layer_puts_out(run, faces, layer):
    expected, _ = by_hand(run, faces.images, layer)
    got = features.of(run, faces, layer)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert got.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        got[0, 0] = 1


def test_the_last_hidden_layer_is_the_default(run, faces):
    np.testing.assert_array_equal(features.of(run, faces), features.of(run, faces, "relu"))


def test_probabilities_are_those_of_the_runs_own_predictions(run, faces):
    tested = faces.select((faces.table["split"] == "test").to_numpy())
    got = features.probabilities(run, tested)
    np.testing.assert_allclose(got, run.predictions[list(run.emotions)], atol=1e-6)


def test_a_recipe_that_flips_at_test_gets_the_mean_over_a_face_and_its_mirror_image(home, faces):
    settings = training.TrainConfig(
        corpus="tiny", recipe="fast", width=0.05, n_epochs=1, threads=1, device="cpu"
    )
    run = training.ensure(settings, faces)
    tested = faces.select((faces.table["split"] == "test").to_numpy())
    np.testing.assert_allclose(
        features.probabilities(run, tested), run.predictions[list(run.emotions)], atol=1e-6
    )
    assert features.of(run, tested).shape == (len(tested), 26)  # FastCNN's 512 maps at width 0.05


def test_features_are_computed_once_and_found_again(run, faces, passes):
    again = tiny_faces(n=120, seed=5)
    for _ in range(2):
        features.of(run, again)
        features.logits(run, again)
        features.probabilities(run, again)
    assert len(passes) == 1


def test_altered_or_reordered_faces_are_computed_anew(run, faces, passes):
    features.of(run, faces)
    darker = dataclasses.replace(faces, images=faces.images // 2)
    turned = faces.select(np.arange(len(faces))[::-1])
    assert not np.array_equal(features.of(run, darker), features.of(run, faces))
    np.testing.assert_allclose(features.of(run, turned), features.of(run, faces)[::-1], atol=1e-5)
    assert [id(f) for f in passes][-2:] == [id(darker), id(turned)]


def test_faces_of_another_size_are_resized_to_the_networks(run, faces):
    large = dataclasses.replace(faces, images=datasets.base.resized(faces.images, 40))
    expected, _ = by_hand(run, datasets.base.resized(large.images, 16), "relu")
    np.testing.assert_allclose(features.of(run, large), expected, rtol=1e-4, atol=1e-5)


def test_an_unknown_layer_is_refused_with_the_nearest(run, faces):
    with pytest.raises(UsageError, match=r"block3\.pol.*block3\.pool"):
        features.of(run, faces, "block3.pol")


def test_nothing_is_kept_of_a_pass_that_failed(run, monkeypatch):
    other = tiny_faces(n=120, seed=9)
    monkeypatch.setattr(features._Files, "flush", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        features.of(run, other)
    assert not features.place_of(run, other).exists()
    monkeypatch.undo()
    assert len(features.of(run, other)) == 120
