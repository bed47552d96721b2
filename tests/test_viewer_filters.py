"""The viewer of filters: its data, its page without a kernel or a network, its bench in a live kernel."""

import json
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from ferlib import filters, models, viewer
from ferlib.config import UsageError
from ferlib.datasets import FaceSet
from ferlib.filters import Curves
from ferlib.synthetic import primer, render
from ferlib.viewer import filter_viewer, sprites

AUS = ("AU01", "AU12", "AU25")


def made_up(name="block3.conv", n=12, seed=0):
    """Filter f follows AU 12 with AUC (50 + 3 f) %; the last one is dead; AU 25 is not testable within emotion."""
    rng = np.random.default_rng(seed)
    effect = np.full((n, 3), 0.5)
    effect[:, 1] = (50 + 3 * np.arange(n)) / 100
    q = np.where(effect > 0.6, 0.01, 0.6)
    q_within = q.copy()
    q_within[:, 2] = np.nan
    state = np.array(["active"] * (n - 1) + ["dead"])
    profile = viewer.Profile(AUS, effect, effect - 0.05, effect + 0.05, q, q_within)
    value = np.cumsum(rng.random((n, 3, 6)), axis=2)
    table = pd.DataFrame({"au": [AUS[f % 3] for f in range(n)], "index": np.linspace(1, 0, n)})
    tuned = viewer.Tuned(AUS, Curves(value, value - 0.1, value + 0.1, 4), table)
    top = rng.integers(0, 5, (n, viewer.layers.FACES))
    boxes = np.tile([0, 4, 16, 20], (n, viewer.layers.FACES, 1))
    seen = rng.standard_normal((n, viewer.layers.FACES, 24, 24)).astype(np.float32)
    seen[0, 0] = np.nan
    faces = rng.integers(0, 255, (5, 24, 24), dtype=np.uint8)
    words = tuple(f"happiness, AU {i}" for i in range(5))
    values = np.ones(top.shape)
    return viewer.Layer(
        name, faces, words, top, values, boxes, seen, state, np.linspace(1, 0, n), profile, tuned
    )


# ------------------------------------------------------------------------------------------------ pictures


def test_a_sprite_holds_each_tile_at_its_place():
    tiles = np.arange(5, dtype=np.uint8)[:, None, None] * np.ones((5, 2, 3), np.uint8)
    sheet = sprites.sprite(tiles, columns=3)
    assert sheet.shape == (4, 9, 3)
    assert [sheet[2 * (i // 3), 3 * (i % 3), 0] for i in range(5)] == [0, 1, 2, 3, 4]


def test_what_speaks_for_a_unit_is_orange_what_speaks_against_it_blue_and_a_mute_map_changes_nothing():
    faces = np.full((3, 4, 4), 100, np.uint8)
    seen = np.zeros((3, 4, 4), np.float32)
    seen[0, 0, 0], seen[1, 0, 0], seen[2] = 1, -1, np.nan
    drawn = sprites.credited(faces, seen)
    assert drawn[0, 0, 0].tolist() == [0xD5, 0x5E, 0x00]
    assert drawn[1, 0, 0].tolist() == [0x00, 0x72, 0xB2]
    assert drawn[0, 1, 1].tolist() == [150] * 3  # pale
    assert (drawn[2] == 100).all()


def test_numbers_are_whole_and_the_unknown_is_null():
    assert filter_viewer.whole(np.array([[0.123, np.nan]])) == [[12, None]]
    json.dumps(filter_viewer.payload(made_up()))


def test_the_layer_of_a_network_shows_its_strongest_faces_with_their_fields():
    torch.manual_seed(0)
    net = models.EmotionCNN(width=0.05, size=48).eval()
    rng = np.random.default_rng(1)
    images = rng.integers(0, 255, (20, 48, 48), dtype=np.uint8)
    table = pd.DataFrame({"row": range(20), "emotion": ["fear"] * 20, "AU12": [1.0, 0.0] * 10})
    faces = FaceSet(images, table, "synthetic-x", "d", True, {}, ("fear",))
    n = filters.max_activations(net, images[:1], "block2.conv")["block2.conv"].shape[1]
    nothing = np.full((n, 1), np.nan)
    profile = viewer.Profile(("AU12",), *[nothing] * 5)
    layer = viewer.layer_of(net, faces, "block2.conv", profile)
    acts = filters.max_activations(net, images, "block2.conv")["block2.conv"]
    shown = np.array([[int(np.flatnonzero((images == layer.faces[i]).all(axis=(1, 2)))[0]) for i in row]
                      for row in layer.top])  # fmt: skip
    np.testing.assert_array_equal(shown, np.argsort(-acts, axis=0, kind="stable")[: viewer.layers.FACES].T)
    assert layer.captions[layer.top[0, 0]] == ("fear, AU 12" if shown[0, 0] % 2 == 0 else "fear, no AU")
    for f, k in ((0, 0), (1, 2)):  # nothing outside the field of the unit is credited
        top, left, bottom, right = layer.boxes[f, k]
        outside = layer.seen[f, k].copy()
        outside[top:bottom, left:right] = 0
        assert not outside.any()


def test_tables_of_other_filters_are_refused():
    good = made_up()
    with pytest.raises(UsageError, match="profile is of 12 filters; 6 were"):
        viewer.Layer(good.name, good.faces, good.captions, good.top[:6], good.values[:6], good.boxes[:6],
                     good.seen[:6], good.state[:6], good.fires[:6], good.profile)  # fmt: skip


def test_a_layer_of_256_filters_would_stay_under_three_megabytes():
    from ferlib.synthetic.primer import sitter

    one = cv2.cvtColor(sitter(3).draw(primer.levels_of({"AU12": 4})[None], 48)[0], cv2.COLOR_RGB2GRAY)
    rng = np.random.default_rng(0)
    n, k = 64, viewer.layers.FACES
    noise = rng.normal(0, 6, (n * k // 2, 48, 48))
    faces = np.clip(one + noise, 0, 255).astype(np.uint8)
    seen = cv2.GaussianBlur(rng.standard_normal((48, 48, n)).astype(np.float32), (0, 0), 1).transpose(2, 0, 1)
    small = made_up(n=n)
    words = ("happiness, AU 6 12 25",) * len(faces)
    top, seen = rng.integers(0, len(faces), (n, k)), np.repeat(seen[:, None], k, axis=1)
    layer = viewer.Layer(small.name, faces, words, top, small.values, small.boxes, seen, small.state, small.fires,
                         _wide(small.profile), None)  # fmt: skip
    assert len(filter_viewer.script(layer)) < 3e6 * n / 256  # every part grows with the filters


def _wide(profile):
    return viewer.Profile(tuple(filters.TUNED_AUS), *[np.repeat(getattr(profile, f)[:, :1], 24, axis=1)
                                                      for f in ("effect", "low", "high", "q", "q_within")])  # fmt: skip


# ------------------------------------------------------------------------------------- the three faces


def test_the_bundle_holds_a_picture_and_a_page_and_under_the_builder_no_widget(monkeypatch, tmp_path):
    monkeypatch.setenv("FERLIB_RESULT", "result.json")
    bundle = viewer.FilterViewer([made_up()], lambda name, text: name, bench=object())._repr_mimebundle_()
    assert bundle["image/png"].startswith(b"\x89PNG")
    assert set(bundle) == {"image/png", "text/html", "text/plain"}
    assert bundle["text/plain"] == "FilterViewer of block3.conv (12 filters)"


def test_without_a_place_beside_the_page_the_page_carries_its_first_layer():
    page = viewer.FilterViewer([made_up("block3.conv"), made_up("block1.conv")]).html()
    assert '"block3.conv":{' in page
    assert "block1.conv" not in page


@pytest.fixture(scope="module")
def bench():
    return small_bench()


def small_bench():
    """An untrained network, two corpora of noise, and the sitter."""
    torch.manual_seed(0)
    net = models.EmotionCNN(n_classes=3, width=0.25).eval()
    rng = np.random.default_rng(0)
    faces = {name: SimpleNamespace() for name in ("a", "b")}
    for name in faces:
        images = rng.integers(0, 255, (30, 48, 48), dtype=np.uint8)
        faces[name] = FaceSet(images, pd.DataFrame({"row": range(30)}), name, "d", True, {}, ())
    return viewer.Bench(net, ("anger", "fear", "happiness"), faces)


def test_the_bench_shows_what_the_network_answers_to_the_moved_face(bench):
    levels = primer.levels_of({"AU12": 5})
    seen = bench.look(levels, "block3.conv", 7)
    assert seen.map.shape == (12, 12)
    assert seen.probabilities.sum() == pytest.approx(1, abs=1e-5)
    grey = cv2.cvtColor(bench.sitter.draw(levels[None], 96)[0], cv2.COLOR_RGB2GRAY)
    face = cv2.resize(grey, (48, 48), interpolation=cv2.INTER_AREA)
    top = filters.max_activations(bench.model, face[None], "block3.conv")["block3.conv"][0, 7]
    assert seen.map.max() == pytest.approx(top, rel=1e-5)


def test_a_live_bench_follows_its_sliders_and_ranks_what_is_chosen(bench, monkeypatch):
    monkeypatch.delenv("FERLIB_RESULT", raising=False)
    shown = viewer.FilterViewer([made_up()], bench=bench)
    assert "application/vnd.jupyter.widget-view+json" in shown._repr_mimebundle_()
    choices, stage = shown.widget().children
    (layer, unit, corpus), (n, method), words, ranked = [
        c.children if hasattr(c, "children") else c for c in choices.children
    ]
    picture, told, reset = stage.children[0].children
    smile = next(s for box in stage.children[1:] for s in box.children if s.description == "AU 12")
    seen = [(picture.value, told.value)]
    for step in range(4):
        smile.value = 0.5 * step + 0.5
        seen.append((picture.value, told.value))
    assert len(set(seen)) == 5
    reset.click()
    assert picture.value == seen[0][0]
    before = ranked.value
    for control, value in ((corpus, "b"), (unit, 5), (n, 3), (method, "deconvnet"), (layer, "block1.conv")):
        control.value = value
        assert ranked.value != before, control.description
        before = ranked.value
    assert unit.max == 15
    assert "of 30 faces" in words.value


def test_faces_along_a_moved_slider_are_drawn_in_one_batch_and_are_the_faces_drawn_alone(bench, monkeypatch):
    alone = {level: bench.face(primer.levels_of({"AU01": 2, "AU12": level})) for level in (0, 1.5, 5)}
    batches, draw = [], primer.Sitter.draw

    def counted(self, levels, px):
        batches.append(len(levels))
        return draw(self, levels, px)

    monkeypatch.setattr(primer.Sitter, "draw", counted)
    for level in (1.0, 1.25, 1.5, 1.75, 0):
        face = bench.face(primer.levels_of({"AU01": 2, "AU12": level}), "AU12")
        if level in alone:
            assert np.array_equal(face, alone[level])
    assert batches == [render.batch_for(viewer.bench.FACE_PX)]
    assert np.array_equal(bench.face(primer.levels_of({"AU01": 2, "AU12": 5}), "AU12"), alone[5])
    assert len(batches) == 2  # too far away to be drawn along


def test_without_a_bench_there_is_no_widget():
    with pytest.raises(UsageError, match="has no bench"):
        viewer.FilterViewer([made_up()]).widget()


# -------------------------------------------------------------------------------------------- in a page


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("viewer")

    def leave(name, text):
        (folder / "_static").mkdir(exist_ok=True)
        (folder / "_static" / name).write_text(text, encoding="utf-8")
        return f"_static/{name}"

    page = viewer.FilterViewer([made_up(), made_up("block1.conv", 6, seed=1)], leave).html()
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    (folder / "page.html").write_text(f"{head}<title>t</title><body>{page}", encoding="utf-8")
    return (folder / "page.html").as_uri()


@pytest.fixture
def tab(browser, request):
    """An empty tab without a network that notes what is asked for and what goes wrong."""
    context = browser.new_context(
        viewport={"width": getattr(request, "param", 1000), "height": 900}, offline=True
    )
    page = context.new_page()
    page.requests, page.errors = [], []
    page.on("request", lambda asked: page.requests.append(asked.url))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" else None)
    yield page
    assert page.errors == []
    assert {url.split(":")[0] for url in page.requests} <= {"file", "data", "blob"}
    context.close()


def opened(tab, address):
    tab.goto("about:blank")
    tab.goto(address)
    tab.wait_for_selector(".fv-card")
    return tab


def numbers(tab):
    return tab.eval_on_selector_all(".fv-cell", "cells => cells.map(c => +c.dataset.f)")


def test_a_filter_is_chosen_by_click_and_by_keyboard(site, tab):
    opened(tab, site)
    assert tab.locator(".fv-card strong").inner_text() == "block3.conv:0"
    tab.locator('.fv-cell[data-f="5"]').click()
    assert tab.locator(".fv-card strong").inner_text() == "block3.conv:5"
    assert tab.url.endswith("#block3.conv:5")
    tab.locator(".fv-grid").focus()
    tab.evaluate("document.addEventListener('keydown', () => { window.heard = true; })")
    for key, chosen in (("ArrowRight", 6), ("ArrowLeft", 5), ("End", 11), ("Home", 0)):
        tab.keyboard.press(key)
        assert tab.locator(".fv-card strong").inner_text() == f"block3.conv:{chosen}"
        assert tab.locator(".fv-cell[aria-selected=true]").get_attribute("data-f") == str(chosen)
    assert tab.evaluate("window.heard") is None  # a theme that turns pages by arrow keys does not hear them
    told = tab.locator(".fv-card p").first.inner_text()
    assert "fires on 100 %" in told
    assert "For 1 of 6 faces the map says nothing" in told
    tab.locator('.fv-cell[data-f="5"]').click()
    assert "says nothing" not in tab.locator(".fv-card p").first.inner_text()


def test_filters_are_sorted_by_au12_and_the_dead_one_comes_last(site, tab):
    opened(tab, site)
    tab.get_by_label("order").select_option("au")
    assert numbers(tab) == [*range(10, -1, -1), 11]
    tab.get_by_label("show").select_option("dead")
    assert numbers(tab) == [11]
    assert (
        tab.locator(".fv-card strong").inner_text() == "block3.conv:11"
    )  # the one that was shown is not in the list
    tab.get_by_label("show").select_option("within")
    assert numbers(tab) == [10, 9, 8, 7, 6, 5, 4]
    tab.get_by_label("Action Unit").select_option("AU25")
    assert numbers(tab) == []  # not testable within emotion
    tab.get_by_label("show").select_option("all")
    tab.get_by_label("order").select_option("selectivity")
    assert numbers(tab) == list(range(12))


def test_a_deep_link_opens_its_filter_and_loads_its_layer_only(site, tab):
    opened(tab, site + "#block1.conv:4")
    assert tab.locator(".fv-card strong").inner_text() == "block1.conv:4"
    assert [url.rsplit("/", 1)[1] for url in tab.requests if url.endswith("js")] == ["block1.conv.mjs"]
    tab.get_by_label("layer").select_option("block3.conv")
    tab.wait_for_function("document.querySelectorAll('.fv-cell').length === 12")


def test_two_filters_stand_side_by_side(site, tab):
    opened(tab, site + "#block3.conv:2")
    tab.get_by_role("button", name="hold to compare").click()
    tab.locator('.fv-cell[data-f="7"]').click()
    assert tab.locator(".fv-card strong").all_inner_texts() == ["block3.conv:2", "block3.conv:7"]
    tab.get_by_role("button", name="let go").click()
    assert tab.locator(".fv-card strong").all_inner_texts() == ["block3.conv:7"]


def test_the_tile_shows_the_face_that_excites_the_filter_most(site, tab):
    layer = made_up()
    opened(tab, site + "#block3.conv:3")
    tab.get_by_role("button", name="what excites it").click()  # plain faces
    first = tab.locator(".fv-tops .fv-tile").first
    assert layer.captions[layer.top[3, 0]] in first.get_attribute("aria-label")
    tab.add_style_tag(
        content=".fv-tops .fv-tile { width: 24px !important; border-radius: 0 } .fv-box { display: none }"
        ".fv-tops li:first-child .fv-tile { position: fixed; top: 0; left: 0; z-index: 9 }"  # on whole pixels
    )
    tab.wait_for_timeout(200)
    seen = cv2.imdecode(np.frombuffer(first.screenshot(), np.uint8), cv2.IMREAD_GRAYSCALE)[:24, :24].astype(
        float
    )
    distance = [np.abs(seen - face).mean() for face in layer.faces]
    assert int(np.argmin(distance)) == layer.top[3, 0]


def test_the_profile_says_its_numbers_and_a_click_on_a_row_chooses_the_au(site, tab):
    opened(tab, site + "#block3.conv:6")
    row = tab.locator('.fv-p g[data-au="AU12"]')
    assert "AUC 0.68, interval 0.63 to 0.73, q 0.010, within emotion q 0.010" in row.text_content()
    assert "not testable" in tab.locator('.fv-p g[data-au="AU25"]').text_content()
    tab.locator('.fv-p g[data-au="AU25"] text').click()
    assert tab.get_by_label("Action Unit").input_value() == "AU25"
    assert "lips part" in tab.locator(".fv-card h5").nth(1).inner_text()


def test_what_the_rig_prefers_is_said_only_where_the_curve_beside_it_agrees(site, tab):
    layer = made_up()
    opened(tab, site)
    agreed = set()
    for f, (au, selective) in enumerate(layer.tuned.selectivity[["au", "index"]].itertuples(index=False)):
        most = AUS[int(layer.tuned.curves.value[f, :, -1].argmax())]
        tab.locator(f'.fv-cell[data-f="{f}"]').click()
        told = tab.locator(".fv-card p").first.inner_text()
        own, highest = (f"AU {int(one[2:])} " for one in (au, most))
        if au == most:
            assert f"{own}" in told.split("raises it most")[0]
            assert (f"selectivity {selective:.2f}" in told) == (selective > 0)
        else:
            assert (
                told.index("no AU is preferred")
                < told.index(own)
                < told.index("in half")
                < told.index(highest)
            )
            assert "selectivity" not in told
        agreed.add(au == most)
    assert agreed == {True, False}


@pytest.mark.parametrize("tab", [390], indirect=True)
def test_on_a_telephone_nothing_scrolls_sideways(site, tab):
    opened(tab, site + "#block3.conv:2")
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_missing_file_is_named(tmp_path, browser):
    page = viewer.FilterViewer([made_up()], lambda name, text: f"gone/{name}").html()
    (tmp_path / "page.html").write_text(f"<!doctype html><meta charset=utf-8><body>{page}", encoding="utf-8")
    tab = browser.new_page()
    tab.goto((tmp_path / "page.html").as_uri())
    tab.wait_for_function(
        "document.querySelector('.fv-count').textContent.includes('gone/block3.conv.mjs is missing')"
    )
    tab.close()
