"""CASME II, SAMM, SMIC and the MEGC list: native layouts with their quirks, and every damage listed."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from native_trees import (
    CASME2_HEADER,
    CASME2_ROWS,
    SAMM_HEADER,
    SAMM_ROWS,
    casme2,
    picture,
    samm,
    smic,
    text,
    workbook,
)

from ferlib import datasets
from ferlib.config import DataError
from ferlib.datasets import clips, megc
from ferlib.datasets.files import BadFile, read_sheet
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import parse_codes

BOOK = "CASME2-coding-20140508.xlsx"
pytestmark = pytest.mark.usefixtures("own_home")


def problems(name: str, tree: Path) -> list[str]:
    return [str(problem) for problem in datasets.check(name, tree).problems]


def changed(rows: list[list], row: int, column: int, value) -> list[list]:
    return [
        [value if (i, j) == (row, column) else cell for j, cell in enumerate(r)] for i, r in enumerate(rows)
    ]


# --------------------------------------------------------------------------------------------- CASME II


def test_casme2_clips_are_cut_from_onset_to_offset_and_sorted_by_number(tmp_path):
    _, report = datasets.prepare("casme2", casme2(tmp_path / "casme2"))
    assert report.problems == []
    table = datasets.load("casme2").table
    first = table[table["sequence"] == "EP02_01f"]
    assert first["frame"].tolist() == [46, 59, 86]  # 100 lies behind the offset
    assert table[table["sequence"] == "EP03_02"]["frame"].tolist() == [2, 9, 10]
    assert first["n_frames"].tolist() == [3] * 3
    assert set(first["fps"]) == {200}
    assert (first["onset"].iloc[0], first["apex"].iloc[0], first["offset"].iloc[0]) == (46, 59, 86)


def test_casme2_keeps_its_own_words_and_translates_what_it_can(tmp_path):
    datasets.prepare("casme2", casme2(tmp_path / "casme2"))
    clips_of = datasets.load("casme2").table.groupby("sequence").first()
    assert clips_of["label"].to_dict() == {"EP02_01f": "happiness", "EP03_02": "disgust", "EP13_04": "others"}
    assert clips_of["emotion"].dropna().to_dict() == {"EP02_01f": "happiness", "EP03_02": "disgust"}
    assert clips_of["subject"].to_dict() == {"EP02_01f": "sub01", "EP03_02": "sub01", "EP13_04": "sub02"}
    assert clips_of["au_codes"].to_dict() == {"EP02_01f": "12", "EP03_02": "4+L10", "EP13_04": "R12"}
    assert set(datasets.load("casme2").table["crop"]) == {"whole"}


def test_casme2_codes_stand_at_the_apex_alone_and_a_missing_apex_has_none(tmp_path):
    datasets.prepare("casme2", casme2(tmp_path / "casme2"))
    table = datasets.load("casme2").table
    coded = table[table["AU12"].notna()]
    assert coded["frame"].tolist() == [59, 32]
    assert coded["AU12"].tolist() == [6, 6]
    assert table[table["sequence"] == "EP03_02"]["apex"].isna().all()


def test_casme2_raw_frames_serve_where_nothing_is_cropped(tmp_path):
    tree = casme2(tmp_path / "casme2")
    (tree / "Cropped").rename(tree / "CASME2_RAW_selected")
    for file in tree.rglob("reg_img*.jpg"):
        file.rename(file.with_name(file.name.removeprefix("reg_")))
    report = datasets.check("casme2", tree)
    assert report.problems == []
    assert report.counts["images used"] == 9


def test_the_known_erratum_of_row_60_is_mended_there_and_nowhere_else(tmp_path):
    rows = [[i + 3, f"EP01_{i:02d}", "", 1, "/", 2, "", "4", "others"] for i in range(60)]
    rows.append([1, "EP02_01f", "", 46, 59, 19, "", "12", "happiness"])
    tree = casme2(tmp_path / "casme2", rows)
    picture(tree / "Cropped/sub01/EP02_01f/reg_img91.jpg", 28, 34)
    report = datasets.check("casme2", tree)
    assert "line 62" in str(report.notices) or "offset 19 read as 91: a known erratum" in report.text()
    assert not [p for p in report.problems if p.line == 62]
    tree = casme2(tmp_path / "other", changed(CASME2_ROWS, 0, 5, 19))
    assert "onset 46 comes after offset 19" in problems("casme2", tree)[0]


BAD_CELLS = {
    "unknown emotion 'joy'": (8, "joy"),
    "onset 99 comes after offset 86": (3, 99),
    "apex 12 is not between onset 46 and offset 86": (4, 12),
    "OnsetFrame 'x' is not a whole number": (3, "x"),
    "OffsetFrame '1.5' is not a whole number": (5, 1.5),
    "ApexFrame '-3' is not a whole number": (4, -3),
    "AU 120 is out of range": (7, "4+120"),
    "'4x' is not an AU code": (7, "4x"),
    "Subject 'nobody' is not a number": (0, "nobody"),
    "no Filename": (1, ""),
    "no folder of clip EP99 of sub01": (1, "EP99"),
    "no folder of clip EP02_01f of sub07": (0, 7),
    "the picture of the offset, frame 90, is missing": (5, 90),
    "the picture of the apex, frame 60, is missing": (4, 60),
    "the picture of the onset, frame 47, is missing": (3, 47),
    "no picture of frames 60 to 80": None,
}


@pytest.mark.parametrize("reason", BAD_CELLS)
def test_a_bad_cell_is_named_with_its_line(tmp_path, reason):
    rows = CASME2_ROWS
    if BAD_CELLS[reason] is None:
        rows = changed(changed(changed(rows, 0, 3, 60), 0, 4, "/"), 0, 5, 80)
    else:
        rows = changed(rows, 0, *BAD_CELLS[reason])
    found = problems("casme2", casme2(tmp_path / "casme2", rows))
    assert [p for p in found if p.startswith(f"{BOOK}:2: ") and reason in p], found


def test_a_clip_that_is_there_twice_is_a_problem(tmp_path):
    tree = casme2(tmp_path / "casme2", [*CASME2_ROWS, CASME2_ROWS[0]])
    assert problems("casme2", tree) == [f"{BOOK}:5: clip EP02_01f of sub01 is there twice, first in line 2"]


def test_damaged_pictures_and_folders_are_listed(tmp_path):
    tree = casme2(tmp_path / "casme2")
    clip = tree / "Cropped/sub01/EP02_01f"
    (clip / "reg_img59.jpg").write_bytes((clip / "reg_img59.jpg").read_bytes()[:300])
    (clip / "reg_img46.jpg").unlink()
    (clip / "reg_img46.jpg").symlink_to("/etc/hostname")
    with (clip / "reg_img86.jpg").open("wb") as sparse:
        sparse.truncate(3 << 30)
    (tree / "Cropped/sub1").mkdir()
    (tree / "Cropped/sub02/EP77").mkdir()
    report = datasets.check("casme2", tree)
    found = report.text()
    for reason in (
        "reg_img59.jpg: unreadable or truncated", "reg_img46.jpg: a link out of the tree",
        "reg_img86.jpg: 3,221,225,472 bytes",
        "the same person as sub", "notice: Cropped/sub02/EP77: no row in",
    ):  # fmt: skip
        assert reason in found, found
    with pytest.raises(DataError):
        datasets.prepare("casme2", tree)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"PK\x03\x04 not really", "unreadable workbook"),
        (b"hello", "unreadable workbook"),
    ],
)
def test_an_unreadable_workbook_is_a_problem(tmp_path, content, reason):
    tree = casme2(tmp_path / "casme2")
    (tree / BOOK).write_bytes(content)
    assert [p for p in problems("casme2", tree) if f"{BOOK}: {reason}" in p]


def test_a_workbook_without_the_columns_or_a_tree_without_a_workbook_is_said(tmp_path):
    tree = casme2(tmp_path / "casme2")
    workbook(tree / BOOK, [["a", "b"], [1, 2]])
    assert "no header with the columns Subject" in problems("casme2", tree)[0]
    (tree / BOOK).unlink()
    with pytest.raises(DataError, match="holds no workbook"):
        datasets.check("casme2", tree)
    workbook(tree / BOOK, [CASME2_HEADER])
    (tree / "Cropped").rename(tree / "cropped2")
    with pytest.raises(DataError, match="neither Cropped nor"):
        datasets.check("casme2", tree)


# -------------------------------------------------------------------------------------------------- SAMM


def test_samm_is_read_under_its_preamble(tmp_path):
    _, report = datasets.prepare("samm", samm(tmp_path / "samm"))
    assert report.problems == []
    table = datasets.load("samm").table
    first = table[table["sequence"] == "006_1_2"]
    assert first["frame"].tolist() == [5562, 5588, 5632]
    assert set(first["emotion"]) == {"contempt"}
    assert set(first["objective_class"]) == {7}
    assert table[table["sequence"] == "011_3_1"]["emotion"].isna().all()
    assert table["AU14"].dropna().tolist() == [1, 0]  # 14A at one apex, absent at the other
    assert table["AU07"].dropna().tolist() == [0, 2]
    assert table["AU04"].dropna().tolist() == [0, 6]
    assert set(table["subject"]) == {"006", "011"}


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        (9, "Joy", "unknown emotion 'joy'"),
        (10, 9, "objective class 9 is out of range"),
        (3, 6000, "comes after offset"),
    ],
)
def test_bad_cells_of_samm_are_named_with_their_line(tmp_path, column, value, reason):
    found = problems("samm", samm(tmp_path / "samm", changed(SAMM_ROWS, 0, column, value)))
    assert [p for p in found if p.startswith("SAMM_Micro_FACS_Codes_v2.xlsx:15: ") and reason in p], found


def test_more_than_one_workbook_is_said(tmp_path):
    tree = samm(tmp_path / "samm")
    workbook(tree / "SAMM_Micro_FACS_Codes_v1.xlsx", [SAMM_HEADER])
    with pytest.raises(DataError, match="2 workbook"):
        datasets.check("samm", tree)


# -------------------------------------------------------------------------------------------------- SMIC


def test_smic_gets_padded_names_and_no_codes(tmp_path):
    for source in (smic(tmp_path / "smic"), tmp_path / "smic" / "HS"):
        _, report = datasets.prepare("smic", source)
        assert report.problems == []
        table = datasets.load("smic").table
        assert table["sequence"].unique().tolist() == ["s01_ne_01", "s01_su_01", "s12_po_01"]
        assert table[table["sequence"] == "s01_ne_01"]["frame"].tolist() == [9, 10, 100]
        assert set(table["fps"]) == {100}
        assert table.groupby("label")["emotion"].first().dropna().to_dict() == {"surprise": "surprise"}
        assert not {"onset", "apex", "offset", "AU12"} & set(table.columns)


def test_contradictions_in_smic_are_listed(tmp_path):
    tree = smic(tmp_path / "smic")
    picture(tree / "HS/s2/micro/negative/s3_ne_01/reg_image1.bmp")
    picture(tree / "HS/s2/micro/negative/s2_po_01/reg_image1.bmp")
    picture(tree / "HS/s2/micro/joy/s2_jo_01/reg_image1.bmp")
    picture(tree / "HS/s1/micro/negative/s1_ne_1/reg_image1.bmp")
    picture(tree / "HS/S12/micro/negative/s12_ne_02/reg_image1.bmp")
    (tree / "HS/s2/micro/negative/s2_ne_05").mkdir()
    found = "\n".join(problems("smic", tree))
    for reason in (
        "s3_ne_01: the name contradicts its place", "s2_po_01: the name contradicts its place", "joy: unknown emotion",
        "the same clip as", "the same person as", "s2_ne_05: a clip without frames",
    ):  # fmt: skip
        assert reason in found, (reason, found)


# ------------------------------------------------------------------------------------------- MEGC's list


def test_the_list_of_the_composite_is_joined_by_name(tmp_path):
    lines = ["casme2,sub01,EP02_01f,1", "casme2,sub01,EP03_02,0", "smic,s01,s01_ne_01,0", "samm,6,006_1_2,0"]
    listed, report = megc.read_list(text(tmp_path / "combined_3class_gt.csv", "\n".join(lines)))
    assert report.problems == []
    assert report.counts == {"clips of smic": 1, "clips of casme2": 2, "clips of samm": 1}
    datasets.prepare("casme2", casme2(tmp_path / "casme2"))
    table = datasets.load("casme2").table
    table["class"] = megc.join(listed, table, "casme2")
    assert table.groupby("sequence")["class"].first().dropna().to_dict() == {
        "EP02_01f": "positive", "EP03_02": "negative",
    }  # fmt: skip
    for name, make in (("smic", smic), ("samm", samm)):
        datasets.prepare(name, make(tmp_path / name))
        joined = megc.join(listed, datasets.load(name).table, name)
        assert joined.notna().sum() == 3


def test_a_clip_on_the_list_that_the_corpus_lacks_is_named(tmp_path):
    listed, _ = megc.read_list(text(tmp_path / "list.csv", "casme2,sub09,EP02_01f,1"))
    datasets.prepare("casme2", casme2(tmp_path / "casme2"))
    with pytest.raises(DataError, match="1 clips of the list are not in casme2: sub09 ep02_01f"):
        megc.join(listed, datasets.load("casme2").table, "casme2")


def test_bad_lines_of_the_list_are_problems(tmp_path):
    lines = ["casme2,sub01,a,3", "casme,sub01,a,1", "casme2,sub01,a", "casme2,sub01,a,1", "casme2,sub01,a,1"]
    listed, report = megc.read_list(text(tmp_path / "list.csv", "\n".join(lines)))
    assert [p.line for p in report.problems] == [1, 2, 3, 5]
    assert len(listed) == 1


# --------------------------------------------------------------------------------------------- every parser


@pytest.mark.parametrize(
    ("codes", "levels"),
    [
        ("4+L10", {4: 6, 10: 6}), ("R12", {12: 6}), ("12A+25e", {12: 1, 25: 5}), ("AU4, AU7B", {4: 6, 7: 2}),
        ("1+2+5", {1: 6, 2: 6, 5: 6}), ("", {}), (" 4 + ", {4: 6}),
    ],
)  # fmt: skip
def test_au_codes_are_read_with_side_and_strength(codes, levels):
    assert parse_codes(codes) == levels


@given(st.text(max_size=20) | st.text("0123456789+LRABCDE", max_size=12))
def test_au_codes_are_levels_or_a_reason(codes):
    with contextlib.suppress(ValueError):
        levels = parse_codes(codes)
        assert all(1 <= number <= 99 and 1 <= level <= 6 for number, level in levels.items())


CELLS = st.one_of(
    st.text(max_size=6), st.integers(-5, 10**12), st.floats(allow_nan=False, allow_infinity=False)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(CELLS, min_size=9, max_size=9), max_size=4))
def test_no_cells_make_the_check_crash(tmp_path_factory, rows):
    tree = tmp_path_factory.mktemp("casme2")
    (tree / "Cropped").mkdir()
    workbook(tree / BOOK, [CASME2_HEADER, *rows])
    datasets.check("casme2", tree)


@pytest.fixture(scope="module")
def good_workbook(tmp_path_factory) -> bytes:
    file = tmp_path_factory.mktemp("good") / BOOK
    return workbook(file, [CASME2_HEADER, *CASME2_ROWS]).read_bytes()


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_no_bytes_in_a_workbook_make_the_check_crash(tmp_path_factory, good_workbook, data):
    folder = tmp_path_factory.mktemp("book")
    whole = bytearray(good_workbook)
    for _ in range(data.draw(st.integers(1, 20))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    file = folder / "bad.xlsx"
    file.write_bytes(bytes(whole[: data.draw(st.integers(1, len(whole)))]))
    with contextlib.suppress(BadFile):
        read_sheet(file, folder)
    clips.read_rows(file, folder, tuple(name for name in CASME2_HEADER if name), Report("casme2", folder))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.text('casme2,subEP0123"\n', max_size=200).map(str.encode))
def test_no_list_makes_its_reader_crash(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("megc") / "list.csv"
    file.write_bytes(content)
    megc.read_list(file)
