"""Your own pictures: faces are found, cropped and named; what is no face is told as such."""

import gzip
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from tiny_faces import tiny_faces

from ferlib import cli, faces, learner, predict, training
from ferlib.config import DataError, UsageError
from ferlib.training import TrainConfig


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FERLIB_HOME", str(tmp_path_factory.mktemp("home")))
        settings = TrainConfig(corpus="synthetic-tiny", width=0.05, n_epochs=1, batch_size=32, device="cpu")
        yield training.ensure(settings, tiny_faces(size=48))


def scenes():
    """The drawn faces of the committed sample, each large on a grey wall."""
    sample = Path(__file__).parent / "data" / "fer2013" / "fer2013.csv.gz"
    for line in gzip.decompress(sample.read_bytes()).decode().splitlines()[1:]:
        face = np.array(line.split(",")[1].split(), np.uint8).reshape(48, 48)
        scene = np.full((240, 400), 128, np.uint8)
        scene[50:194, 40:184] = faces.crop_box(face, (0, 0, 48, 48), 144)
        yield scene


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """A face on a wide wall, the same wall empty, and a text that calls itself a picture."""
    folder = tmp_path_factory.mktemp("album")
    scene = next(scene for scene in scenes() if len(faces.find_faces(scene)) == 1)
    cv2.imwrite(str(folder / "a-fäce.png"), scene)
    cv2.imwrite(str(folder / "b-wall.png"), np.full((240, 400), 128, np.uint8))
    (folder / "c-text.jpg").write_text("no picture")
    (folder / "notes.txt").write_text("not looked at")
    return folder


def test_each_picture_has_a_row_and_one_without_a_face_says_so(run, album):
    table = predict.predict(run, predict.pictures([album]))
    assert [file.split("/")[-1] for file in table["file"]] == ["a-fäce.png", "b-wall.png", "c-text.jpg"]
    assert list(table["note"]) == ["", predict.NO_FACE, predict.NOT_READ]
    assert table.loc[1:, ["x", "emotion", *run.emotions]].isna().all(axis=None)
    x, y, width, height = table.loc[0, ["x", "y", "width", "height"]]
    assert 40 < x + width / 2 < 184
    assert 50 < y + height / 2 < 194


def test_the_probabilities_are_those_of_the_network_on_the_crop(run, album):
    (file,) = [f for f in predict.pictures([album]) if f.name.startswith("a")]
    row = predict.predict(run, [file]).iloc[0]
    image = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_GRAYSCALE)
    crop = faces.crop_box(image, faces.find_face(image), 48)
    expected = learner.predict(run.model(), crop[None])[0]
    np.testing.assert_allclose(row[list(run.emotions)].astype(float), expected, atol=1e-6)
    assert row["emotion"] == run.emotions[expected.argmax()]


def test_faces_that_are_cropped_already_are_taken_whole(run, tmp_path):
    images = tiny_faces(n=5, size=48).images
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    table = predict.predict(run, predict.pictures([tmp_path]), whole=True)
    np.testing.assert_allclose(table[list(run.emotions)], learner.predict(run.model(), images), atol=1e-6)


def test_an_empty_file_is_no_picture(run, tmp_path):
    (tmp_path / "empty.png").touch()
    assert list(predict.predict(run, [tmp_path / "empty.png"])["note"]) == [predict.NOT_READ]


def test_places_that_hold_nothing_are_named(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="nowhere does not exist"):
        predict.pictures([tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"holds no pictures \(\.bmp"):
        predict.pictures([tmp_path])
    monkeypatch.setenv("FERLIB_HOME", str(tmp_path))
    with pytest.raises(DataError, match="ferlib book build --only training"):
        predict.newest()


def test_the_command_prints_a_table_and_writes_it(run, album, tmp_path, capsys):
    cli.predict_command([album], run=run.key, csv=tmp_path / "table.csv")
    told = capsys.readouterr()
    assert predict.NO_FACE in told.out
    assert "not what anybody feels" in told.err
    assert len(pd.read_csv(tmp_path / "table.csv")) == 3
    cli.inspect_command(run.key, page=tmp_path / "run.html")
    assert "recall" in (tmp_path / "run.html").read_text().lower()
    assert run.key in capsys.readouterr().out
