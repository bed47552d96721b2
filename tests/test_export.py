"""What is exported does elsewhere what it does here."""

import json

import cv2
import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from safetensors.torch import load_file
from tiny_faces import tiny_faces

from ferlib import export, learner, models, training
from ferlib.training import TrainConfig


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERLIB_HOME", str(tmp_path_factory.mktemp("home")))
        settings = TrainConfig(corpus="synthetic-tiny", width=0.05, n_epochs=1, batch_size=32, device="cpu")
        run = training.ensure(settings, tiny_faces(size=48))
        folder = tmp_path_factory.mktemp("out") / "deep"
        export.export(run, folder)
        yield run, folder


@pytest.mark.parametrize("n", [1, 5])
def test_onnx_gives_the_same_probabilities_in_two_other_programs(exported, n):
    run, folder = exported
    images = tiny_faces(n=20, size=48).images[:n]
    expected = learner.predict(run.model(), images)
    given = images[:, None].astype(np.float32)
    file = str(folder / "model.onnx")
    onnx.checker.check_model(file)
    (reference,) = ReferenceEvaluator(file).run(None, {"faces": given})
    np.testing.assert_allclose(reference, expected, atol=1e-5)
    net = cv2.dnn.readNetFromONNX(file)
    net.setInput(given)
    np.testing.assert_allclose(net.forward(), expected, atol=1e-5)


def test_the_weights_load_into_the_network_that_the_settings_name(exported):
    run, folder = exported
    told = json.loads((folder / "config.json").read_text())
    net = models.build(told["network"]["name"], told["network"]["settings"])
    net.load_state_dict(load_file(folder / "model.safetensors"))
    faces = torch.full((1, 1, 48, 48), 7.0)
    assert torch.equal(net.eval()(faces), run.model()(faces))
    assert tuple(told["emotions"]) == run.emotions


def test_the_card_says_how_good_on_what_and_what_for_not(exported):
    run, folder = exported
    card = (folder / "README.md").read_text()
    assert "These faces are drawn" in card
    assert "Article 5(1)(f)" in card
    assert f"On {len(run.predictions)} test faces" in card
    accuracy = (run.predictions[list(run.emotions)].idxmax(axis=1) == run.predictions["truth"]).mean()
    assert f"| accuracy | {accuracy:.3f} |" in card


def test_an_export_again_replaces_the_files_and_leaves_nothing_else(exported):
    run, folder = exported
    files = export.export(run, folder)
    assert sorted(folder.iterdir()) == sorted(files)
