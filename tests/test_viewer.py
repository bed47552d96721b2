"""The pictures of the primer and the slider with its three faces: picture, page, live widgets."""

import base64

import cv2
import numpy as np
import pytest

from ferlib import labels, viewer
from ferlib.config import UsageError
from ferlib.synthetic import primer

MOVES = {"AU01": ("AU01",), "AU12": ("AU12",), "AU06+AU12": ("AU06", "AU12")}


@pytest.fixture(scope="module")
def who():
    return primer.sitter(6)


@pytest.fixture(scope="module")
def steps(who):
    return primer.steps(who, MOVES, 48)


# ---------------------------------------------------------------------------------------------- pictures


def test_every_drawn_au_has_a_name_a_muscle_and_a_sign():
    assert set(primer.SIGNS) == set(labels.DRAWN_AUS)
    assert set(labels.DRAWN_AUS) <= set(labels.AU_NAMES) & set(labels.AU_MUSCLES)
    assert set(viewer.UPPER) <= set(labels.DRAWN_AUS)
    assert {au for move in primer.COMBINATIONS.values() for au in move} <= set(labels.DRAWN_AUS)


def test_a_move_goes_from_the_same_neutral_face_to_its_au_at_e(who, steps):
    assert {strip.shape for strip in steps.values()} == {(6, 48, 48, 3)}
    assert all(np.array_equal(strip[0], steps["AU01"][0]) for strip in steps.values())
    smile = primer.levels_of({"AU12": 5})
    assert smile.sum() == 10
    assert np.array_equal(who.draw(smile[None], 48)[0], steps["AU12"][5])


def test_the_face_moves_where_its_muscle_is_and_more_at_higher_levels(steps):
    moved = {au: np.abs(primer.change(steps[au][0], steps[au][-1])) for au in ("AU01", "AU12")}
    rows = {au: (change.sum(axis=1) * np.arange(48)).sum() / change.sum() for au, change in moved.items()}
    assert rows["AU01"] + 8 < rows["AU12"]
    grows = [np.abs(primer.change(steps["AU12"][0], face)).sum() for face in steps["AU12"]]
    assert grows == sorted(grows)


def test_an_au_that_is_not_drawn_is_refused():
    with pytest.raises(UsageError, match="does not draw 'AU13'"):
        primer.levels_of({"AU13": 1})


def test_change_is_the_difference_of_luminance():
    black, white = np.zeros((1, 2, 3), np.uint8), np.full((1, 2, 3), 255, np.uint8)
    assert primer.change(black, white) == pytest.approx(np.ones((1, 2)))
    coloured = viewer.coloured_change(white, black)
    assert coloured[0, 0].tolist() == [0x00, 0x72, 0xB2]  # darker is blue


def test_titles_name_one_au_and_number_several():
    assert viewer.title("AU12") == "AU 12 (lip corner puller)"
    assert viewer.title("AU06+AU12") == "AU 6 + 12"
    assert "zygomaticus major" in viewer.sentence("AU12")


# ------------------------------------------------------------------------------------- the three faces


def test_plates_show_three_faces_an_au_with_words(steps):
    page = viewer.AUPlates(steps)._repr_html_()
    assert page.count("<figure") == 2  # combinations are left out
    picture = page.split('src="data:image/webp;base64,')[1].split('"')[0]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)
    assert decoded.shape == (48, 144, 3)
    for word in ('id="au12"', "lip corner puller", "zygomaticus major", 'alt="AU 12'):
        assert word in page


def test_the_bundle_holds_a_picture_and_a_page_and_under_the_builder_no_widget(steps, who, monkeypatch):
    monkeypatch.setenv("FERLIB_RESULT", "result.json")
    bundle = viewer.AUSlider(steps, who)._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert bundle["text/html"].count('type="range"') == 3
    assert not any("widget" in kind for kind in bundle)


def test_live_sliders_combine_and_take_a_side(steps, who, monkeypatch):
    monkeypatch.delenv("FERLIB_RESULT", raising=False)
    slider = viewer.AUSlider(steps, who)
    assert "application/vnd.jupyter.widget-view+json" in slider._repr_mimebundle_()
    box = slider.widget()
    left, *columns = box.children
    picture, side, reset = left.children
    sliders = {s.description: s for column in columns for s in column.children}
    assert list(sliders) == ["AU 1", "AU 12"]
    seen = [picture.value]
    for change in (("AU 12", 5), ("AU 1", 5)):
        sliders[change[0]].value = change[1]
        seen.append(picture.value)
    side.value = "left"
    seen.append(picture.value)
    assert len(set(seen)) == 4
    reset.click()
    side.value = "both"
    assert picture.value == seen[0]


def test_without_a_sitter_there_is_no_widget(steps):
    with pytest.raises(ValueError, match="knows no sitter"):
        viewer.AUSlider(steps).widget()


# -------------------------------------------------------------------------------------------- in a page


@pytest.fixture(scope="module")
def page(steps, browser, tmp_path_factory):
    """The explorer in Chromium, from a file, with every request noted."""
    file = tmp_path_factory.mktemp("page") / "slider.html"
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title><body>'
    file.write_text(head + viewer.AUSlider(steps).html(), encoding="utf-8")
    tab = browser.new_page(viewport={"width": 1000, "height": 900})
    tab.requests, tab.errors = [], []
    tab.on("request", lambda request: tab.requests.append(request.url))
    tab.on("pageerror", lambda error: tab.errors.append(str(error)))
    tab.goto(file.as_uri())
    yield tab
    tab.close()


def shown(page):
    """Source, place in the strip and alternative text of the picture."""
    return page.eval_on_selector(".au-stage img", "i => [i.src, i.style.objectPosition, i.alt]")


def test_the_keyboard_moves_the_face_and_its_words(page):
    page.reload()
    rest = shown(page)
    assert "at rest" in rest[2]
    slider = page.get_by_label("AU 12 (lip corner puller)")
    slider.focus()
    page.keyboard.press("ArrowRight")
    first = shown(page)
    page.keyboard.press("End")
    last = shown(page)
    assert first[0] == last[0] != rest[0]
    assert (first[1], last[1]) == ("0% 0px", "100% 0px")
    assert "AU 12 (lip corner puller) at A" in first[2]
    assert "at E" in last[2]
    assert page.inner_text(".au-stage output") == last[2]
    assert slider.get_attribute("aria-valuetext") == "E"
    page.keyboard.press("Home")
    assert shown(page)[2] == rest[2]


def test_the_mouse_moves_one_slider_and_the_others_return(page):
    page.reload()
    for name in ("AU 12 (lip corner puller)", "AU 6 + 12"):
        box = page.get_by_label(name, exact=True).bounding_box()
        page.mouse.click(box["x"] + box["width"] * 0.62, box["y"] + box["height"] / 2)
    assert "AU 6 + 12 at C" in shown(page)[2]
    assert page.get_by_label("AU 12 (lip corner puller)").input_value() == "0"


def test_the_picture_that_is_shown_is_the_one_of_its_level(page, steps):
    page.reload()
    page.get_by_label("AU 1 (inner brow raiser)").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("document.querySelector('.au-stage img').complete")
    page.add_style_tag(content=".au-stage img { width: 48px !important; border-radius: 0 !important; }")
    seen = cv2.imdecode(np.frombuffer(page.locator(".au-stage img").screenshot(), np.uint8), cv2.IMREAD_COLOR)
    distance = [np.abs(seen[..., ::-1].astype(float) - face).mean() for face in steps["AU01"]]
    assert int(np.argmin(distance)) == 5


def test_the_page_asks_nobody_for_anything_and_makes_no_error(page):
    assert {url.split(":")[0] for url in page.requests} <= {"file", "data"}
    assert page.errors == []
    missing = page.evaluate("[...document.querySelectorAll('input')].filter(i => !i.labels.length).length")
    assert missing == 0
