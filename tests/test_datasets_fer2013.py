"""FER2013: every variant is read the same, every bad row is named, FER+ is joined by row."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from fer_world import csv_row, good_rows, pixels, write_csv
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ferlib import datasets
from ferlib.config import DataError, UsageError
from ferlib.datasets import fer2013, fer2013_csv
from ferlib.datasets.ferplus import RULES, ferplus_labels
from ferlib.labels import FER2013_CODES, FER2013_FOLDERS, FERPLUS_COLUMNS

COLUMNS = ("emotion", "pixels", "Usage")
pytestmark = pytest.mark.usefixtures("own_home")


def reasons(report) -> list[str]:
    return [str(problem) for problem in report.problems]


# ------------------------------------------------------------------------------------------- variants


def test_a_csv_becomes_faces_with_emotions_and_splits(tmp_path):
    rows, faces = good_rows(12)
    datasets.prepare("fer2013", write_csv(tmp_path / "fer2013.csv", rows))
    loaded = datasets.load("fer2013")
    assert (loaded.images.reshape(12, -1) == faces).all()
    assert loaded.table["emotion"].tolist() == [FER2013_CODES[i % 7] for i in range(12)]
    assert loaded.table["split"].tolist() == ["train"] * 4 + ["val"] * 4 + ["test"] * 4
    assert loaded.table["image"].tolist()[:2] == ["fer0000000.png", "fer0000001.png"]
    assert loaded.table["source"].tolist()[:2] == ["fer2013.csv:2", "fer2013.csv:3"]
    assert loaded.synthetic is False


def icml(rows):
    parts = [row.split(",") for row in rows]
    return "\n".join([" emotion, Usage, pixels".strip(), *(f"{e},{u},{p}" for e, p, u in parts)]) + "\n"


VARIANTS = {
    "CRLF": lambda rows: "\r\n".join(["emotion,pixels,Usage", *rows]) + "\r\n",
    "quotes": lambda rows: "\n".join(
        ['"emotion","pixels","Usage"', *('"' + row.replace(",", '","') + '"' for row in rows)]
    ),
    "byte order mark": lambda rows: "\ufeff" + "\n".join(["emotion,pixels,Usage", *rows]),
    "icml_face_data": icml,
    "blank lines": lambda rows: "\n".join(["emotion,pixels,Usage", "", *rows, "", ""]),
    "double blanks": lambda rows: "\n".join(["emotion,pixels,Usage", *(r.replace(" ", "  ") for r in rows)]),
    "leading zeros": lambda rows: "\n".join(
        ["emotion,pixels,Usage", *(r.replace(" 1", " 0001") for r in rows)]
    ),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_csv_variant_holds_the_same_faces(tmp_path, variant):
    rows, faces = good_rows(12)
    file = tmp_path / "icml_face_data.csv"
    file.write_bytes(VARIANTS[variant](rows).encode())
    assert datasets.check("fer2013", tmp_path).problems == []
    read = fer2013_csv.read_csv(file)
    assert (read.images.reshape(12, -1) == faces).all()
    assert read.emotion.tolist() == [i % 7 for i in range(12)]
    assert read.row.tolist() == list(range(12))


def test_train_csv_has_no_usage_hence_no_splits(tmp_path):
    faces = pixels(np.random.default_rng(0), 3)
    rows = [csv_row(i, face, usage=None) for i, face in enumerate(faces)]
    _, report = datasets.prepare("fer2013", write_csv(tmp_path / "train.csv", rows, "emotion,pixels"))
    assert "no official splits" in report.text()
    assert datasets.load("fer2013").table["emotion"].tolist() == ["anger", "disgust", "fear"]
    assert "split" not in datasets.load("fer2013").table


def folder_variant(root: Path) -> dict[str, np.ndarray]:
    faces = {}
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for i, folder in enumerate(FER2013_FOLDERS):
            (root / split / folder).mkdir(parents=True)
            faces[f"{split}/{folder}/{i}.png"] = rng.integers(0, 256, (48, 48), dtype=np.uint8)
    for name, face in faces.items():
        Image.fromarray(face).save(root / name)
    (root / "train" / ".DS_Store").write_bytes(b"x")
    return faces


def test_the_folder_variant_is_read_by_class_name(tmp_path):
    faces = folder_variant(tmp_path)
    datasets.prepare("fer2013", tmp_path)
    loaded = datasets.load("fer2013")
    for image, name, emotion in zip(
        loaded.images, loaded.table["image"], loaded.table["emotion"], strict=True
    ):
        assert (image == faces[name]).all()
        assert emotion == FER2013_FOLDERS[name.split("/")[1]]
    assert loaded.table["split"].value_counts().to_dict() == {"train": 7, "test": 7}


def test_bad_pictures_of_the_folder_variant_are_listed(tmp_path):
    folder_variant(tmp_path)
    (tmp_path / "train" / "joy").mkdir()
    good = (tmp_path / "train" / "angry" / "0.png").read_bytes()
    (tmp_path / "train" / "angry" / "cut.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "train" / "angry" / "empty.png").write_bytes(b"")
    (tmp_path / "train" / "angry" / "text.png").write_bytes(b"hello")
    Image.new("L", (50, 48)).save(tmp_path / "train" / "angry" / "wide.png")
    (tmp_path / "outside.png").write_bytes(good)
    (tmp_path / "tree").mkdir()
    (tmp_path / "train").rename(tmp_path / "tree" / "train")
    (tmp_path / "tree" / "train" / "angry" / "link.png").symlink_to(tmp_path / "outside.png")
    with (tmp_path / "tree" / "train" / "angry" / "huge.png").open("wb") as sparse:
        sparse.truncate(3 << 30)
    found = "\n".join(reasons(datasets.check("fer2013", tmp_path / "tree")))
    for name, reason in {
        "joy": "not one of the emotion folders", "cut.png": "truncated", "empty.png": "empty file",
        "text.png": "not a picture", "wide.png": "50 x 48 pixels", "link.png": "a link out of the tree",
        "huge.png": "3,221,225,472 bytes",
    }.items():  # fmt: skip
        assert [line for line in found.splitlines() if name in line and reason in line], (name, found)
    assert len(found.splitlines()) == 7


# ------------------------------------------------------------------------------------------- bad rows

FACE = np.arange(2304) % 256
GOOD = csv_row(3, FACE)
BAD_ROWS = {
    "2,303 pixels instead of 2,304": csv_row(3, FACE[:-1]),
    "2,305 pixels instead of 2,304": csv_row(3, np.append(FACE, 1)),
    "pixel 4 is 'x', not a whole number": csv_row(3, FACE).replace(" 3 ", " x ", 1),
    "pixel 4 is '-3', not a whole number": csv_row(3, FACE).replace(" 3 ", " -3 ", 1),
    "pixel 4 is '3.5', not a whole number": csv_row(3, FACE).replace(" 3 ", " 3.5 ", 1),
    "pixel 4 is 256, outside 0 to 255": csv_row(3, FACE).replace(" 3 ", " 256 ", 1),
    "pixel 4 is 1003, outside 0 to 255": csv_row(3, FACE).replace(" 3 ", " 1003 ", 1),
    "pixel 4 is 999, outside 0 to 255": csv_row(3, FACE).replace(" 3 ", " 999 ", 1),
    "unknown emotion 7 (known: 0 to 6)": csv_row(7, FACE),
    "emotion 'happy' is not a whole number": GOOD.replace("3,", "happy,", 1),
    "emotion '' is not a whole number": GOOD.replace("3,", ",", 1),
    "unknown usage 'training'": csv_row(3, FACE, "training"),
    "unknown usage ''": csv_row(3, FACE, ""),
    "2 fields instead of 3": csv_row(3, FACE, None),
    "4 fields instead of 3": csv_row(3, FACE) + ",",
    "1 fields instead of 3": "hello",
    "a line of more than 65,536 bytes": GOOD + " " * 70_000,
}


@pytest.mark.parametrize("reason", BAD_ROWS)
def test_a_bad_row_is_named_with_its_line_and_its_neighbours_are_kept(tmp_path, reason):
    file = write_csv(tmp_path / "fer2013.csv", [GOOD, BAD_ROWS[reason], GOOD])
    report = datasets.check("fer2013", file)
    assert len(report.problems) == 1
    assert str(report.problems[0]).startswith(f"fer2013.csv:3: {reason}")
    assert fer2013_csv.read_csv(file).line.tolist() == [2, 4]
    assert fer2013_csv.read_csv(file).row.tolist() == [0, 2]


def test_bytes_that_are_not_utf8_are_named(tmp_path):
    file = tmp_path / "fer2013.csv"
    file.write_bytes(b"emotion,pixels,Usage\n" + GOOD.encode().replace(b" 3 ", b" \xff ", 1) + b"\n")
    assert reasons(datasets.check("fer2013", file)) == ["fer2013.csv:2: not UTF-8"]


def test_everything_wrong_with_a_row_is_said_at_once(tmp_path):
    file = write_csv(tmp_path / "fer2013.csv", [csv_row(9, FACE[:5], "Test")])
    (found,) = reasons(datasets.check("fer2013", file))
    assert "unknown emotion 9" in found
    assert "unknown usage 'Test'" in found
    assert "5 pixels" in found


@pytest.mark.parametrize("cut", [1, 5, 9, 300, len(GOOD) - 1])
def test_a_truncated_last_line_is_named(tmp_path, cut):
    file = tmp_path / "fer2013.csv"
    file.write_text("emotion,pixels,Usage\n" + GOOD + "\n" + GOOD[:-cut])
    (found,) = reasons(datasets.check("fer2013", file))
    assert found.startswith("fer2013.csv:3: truncated last line: ")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"\n", "wrong header"),
        (b"a,b,c\n", "wrong header 'a,b,c'"),
        (b"emotion,emotion,pixels\n", "wrong header"),
        (b"0,1 2 3,Training\n", "wrong header"),
        ("emotion,pixels,Usage\n".encode("utf-16"), "not UTF-8"),
        (b"emo\xfftion,pixels,Usage\n", "not UTF-8"),
        (b"\x00" * 100, "wrong header"),
    ],
)
def test_a_file_that_is_something_else_is_named(tmp_path, content, reason):
    (tmp_path / "fer2013.csv").write_bytes(content)
    (found,) = reasons(datasets.check("fer2013", tmp_path))
    assert reason in found
    with pytest.raises(DataError, match="nothing was stored"):
        datasets.prepare("fer2013", tmp_path)
    with pytest.raises(DataError, match="no usable image"):
        datasets.prepare("fer2013", tmp_path, skip_bad=True)


def test_a_three_gigabyte_file_of_zeros_is_refused_quickly(tmp_path):
    file = tmp_path / "fer2013.csv"
    with file.open("wb") as sparse:
        sparse.write(b"emotion,pixels,Usage\n")
        sparse.truncate(3 << 30)
    start = time.process_time()
    (found,) = reasons(datasets.check("fer2013", file))
    assert "3,221,225,472 bytes" in found
    assert time.process_time() - start < 2  # to read it takes ten


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path):
    file = tmp_path / "fer2013.csv"
    file.write_bytes(b"emotion,pixels,Usage\n" + bytes(5_000_000) + b"\n" + GOOD.encode())
    read = fer2013_csv.read_csv(file)
    assert read.bad == [(2, "a line of more than 65,536 bytes")]
    assert read.line.tolist() == [3]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_fast_parser_agrees_with_the_slow_one_on_damaged_lines(tmp_path_factory, data):
    lines = []
    for _ in range(data.draw(st.integers(1, 4))):
        line = bytearray(GOOD.encode())
        for _ in range(data.draw(st.integers(0, 3))):
            at = data.draw(
                st.integers(0, len(line) - 1)
                | st.integers(0, 12)
                | st.integers(len(line) - 12, len(line) - 1)
            )
            at %= len(line)
            kind = data.draw(st.sampled_from(["replace", "insert", "delete", "cut"]))
            extra = data.draw(st.sampled_from([*b'0123456789 ,"\r\t-.x\x00\xff', 0xC3]))
            if kind == "replace":
                line[at] = extra
            elif kind == "insert":
                line.insert(at, extra)
            elif kind == "delete":
                del line[at]
            elif at > 4:
                del line[at:]
        lines.append(bytes(line))
    file = tmp_path_factory.mktemp("csv") / "fer2013.csv"
    file.write_bytes(b"emotion,pixels,Usage\n" + b"\n".join(lines) + b"\n")
    read = fer2013_csv.read_csv(file)
    good, bad = {}, {}
    for number, line in enumerate(lines, start=2):
        if line.strip():
            try:
                good[number] = fer2013_csv.parse_line(line, COLUMNS)
            except ValueError as error:
                bad[number] = str(error)
    assert dict(read.bad) == bad
    assert read.line.tolist() == list(good)
    for i, (face, emotion, usage) in enumerate(good.values()):
        assert (read.images[i].ravel() == face).all()
        assert (read.emotion[i], read.usage[i]) == (emotion, usage)


@settings(max_examples=200, deadline=None)
@given(
    content=st.binary(max_size=400),
    header=st.sampled_from([b"", b"emotion,pixels\n", b"pixels,emotion,Usage\n"]),
)
def test_no_bytes_make_the_check_crash(tmp_path_factory, content, header):
    file = tmp_path_factory.mktemp("csv") / "fer2013.csv"
    file.write_bytes(header + content)
    datasets.check("fer2013", file)


def test_lines_longer_than_a_block_and_rows_across_blocks_are_read(tmp_path, monkeypatch):
    rows, faces = good_rows(12)
    file = write_csv(tmp_path / "fer2013.csv", rows)
    for block in (1, 1000, 8000, 20_000):
        monkeypatch.setattr(fer2013_csv, "BLOCK_BYTES", block)
        assert (fer2013_csv.read_csv(file).images.reshape(12, -1) == faces).all()


# ------------------------------------------------------------------------------------- prepare and counts


def test_prepare_stores_whole_or_not_at_all_and_lists_what_it_left_out(tmp_path):
    file = write_csv(tmp_path / "fer2013.csv", [GOOD, csv_row(9, FACE), GOOD])
    with pytest.raises(DataError, match=r"(?s)1 problem.*fer2013.csv:3: unknown emotion 9.*--skip-bad"):
        datasets.prepare("fer2013", file)
    assert not datasets.is_prepared("fer2013")
    place, _ = datasets.prepare("fer2013", file, skip_bad=True)
    assert len(datasets.load("fer2013")) == 2
    assert "fer2013.csv,3,unknown emotion 9 (known: 0 to 6)" in (place / "left_out.csv").read_text()


def test_differences_from_the_official_counts_are_notices(tmp_path):
    report = datasets.check("fer2013", write_csv(tmp_path / "fer2013.csv", [GOOD]))
    assert (report.exit_code(), report.exit_code(strict=True)) == (0, 1)
    assert "1 train images; the official release has 28,709" in report.text()
    assert "1 happiness images; the official release has 8,989" in report.text()


@pytest.mark.parametrize("mark", ['{"seed": 0}', "", "[]", "not json"])
def test_a_drawn_tree_can_never_become_the_real_corpus(tmp_path, mark):
    rows, _ = good_rows()
    file = write_csv(tmp_path / "deep" / "down" / "fer2013.csv", rows)
    (tmp_path / "deep" / "DRAWN.json").write_text(mark)
    for source in (file, file.parent):
        place, report = datasets.prepare("fer2013", source)
        assert place.name == "synthetic-fer2013"
        assert report.exit_code(strict=True) == 0
    assert datasets.load("synthetic-fer2013").synthetic is True
    assert not datasets.is_prepared("fer2013")
    (tmp_path / "deep" / "DRAWN.json").unlink()
    with pytest.raises(DataError, match=r"no DRAWN.json, so it is not synthetic-fer2013"):
        datasets.prepare("synthetic-fer2013", file)


def test_duplicates_are_marked_within_and_across_splits_and_can_be_left_out(tmp_path):
    a, b, c = pixels(np.random.default_rng(1), 3)
    rows = [
        csv_row(0, a), csv_row(1, a), csv_row(0, b), csv_row(2, c),
        csv_row(0, b, "PublicTest"), csv_row(3, c, "PublicTest"), csv_row(3, c, "PrivateTest"),
    ]  # fmt: skip
    _, report = datasets.prepare("fer2013", write_csv(tmp_path / "fer2013.csv", rows))
    table = datasets.load("fer2013").table
    assert table["duplicate_of"].tolist() == [-1, 0, -1, -1, 2, 3, 3]
    assert table["duplicate_across"].tolist() == [
        "",
        "",
        "val",
        "val test",
        "train",
        "train test",
        "train val",
    ]
    assert report.counts["images identical to an earlier one"] == 4
    assert report.counts["of these with another emotion"] == 3
    assert report.counts["val images that are also in train"] == 2
    kept = datasets.load("fer2013", duplicates="drop-cross-split")
    assert kept.table["row"].tolist() == [0, 1, 4, 6]


# -------------------------------------------------------------------------------------------------- FER+

VOTE_HEADER = "Usage,Image name," + ",".join(FERPLUS_COLUMNS)


def votes_file(path: Path, votes: list[list[int]], usages: list[str], blank: tuple[int, ...] = ()) -> Path:
    names = ["" if i in blank else f"fer{i:07d}.png" for i in range(len(votes))]
    rows = [f"{u},{n},{','.join(map(str, v))}" for u, n, v in zip(usages, names, votes, strict=True)]
    path.write_text("\n".join([VOTE_HEADER, *rows]) + "\n")
    return path


#         neu hap sur sad ang dis fea con unk NF     majority    argmax8    unique8     unique10
VOTES = [
    ([10, 0, 0, 0, 0, 0, 0, 0, 0, 0], ("neutral", "neutral", "neutral", "neutral")),
    ([5, 5, 0, 0, 0, 0, 0, 0, 0, 0], (None, "neutral", None, None)),
    ([4, 1, 1, 1, 1, 1, 1, 0, 0, 0], ("neutral", "neutral", "neutral", "neutral")),
    ([0, 3, 0, 0, 0, 0, 0, 0, 7, 0], (None, "happiness", "happiness", None)),
    ([0, 4, 0, 3, 0, 0, 0, 0, 3, 0], (None, "happiness", "happiness", "happiness")),
    ([0, 4, 0, 0, 0, 0, 0, 0, 4, 2], (None, "happiness", "happiness", None)),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 10], (None, None, None, None)),
    ([0, 0, 0, 0, 0, 0, 0, 0, 0, 0], (None, None, None, None)),
    ([1, 1, 1, 1, 1, 1, 1, 1, 1, 1], (None, "neutral", None, None)),
    ([0, 0, 0, 0, 0, 0, 0, 6, 4, 0], ("contempt", "contempt", "contempt", "contempt")),
]


def official_majority(counts: list[int]) -> str | None:
    """The rule as the official code runs it, image by image (microsoft/FERPlus, src/ferplus.py)."""
    kept = [c if c > 1 else 0 for c in counts]
    best = kept.index(max(kept))
    return FERPLUS_COLUMNS[best] if max(kept) > 0.5 * sum(kept) and best < 8 else None


def test_each_rule_gives_the_labels_worked_out_by_hand():
    votes = np.array([v for v, _ in VOTES])
    for i, rule in enumerate(RULES):
        assert ferplus_labels(votes, rule).tolist() == [expected[i] for _, expected in VOTES], rule


@given(st.lists(st.lists(st.integers(0, 10), min_size=10, max_size=10), min_size=1, max_size=20))
def test_the_majority_rule_is_that_of_the_official_code(votes):
    assert ferplus_labels(np.array(votes), "ferplus-majority").tolist() == [
        official_majority(v) for v in votes
    ]


def test_votes_are_joined_by_row_even_past_a_bad_row(tmp_path):
    rows, _ = good_rows(10)
    usages = [row.rsplit(",", 1)[1] for row in rows]
    rows[1] = rows[1].replace(" ", " x", 1)
    write_csv(tmp_path / "fer2013.csv", rows)
    votes_file(tmp_path / "fer2013new.csv", [v for v, _ in VOTES], usages, blank=(9,))
    _, report = datasets.prepare("fer2013", tmp_path, skip_bad=True)
    table = datasets.load("fer2013").table
    assert table["votes_happiness"].tolist() == [
        v[1] for i, (v, _) in enumerate(VOTES) if i not in (1, 9)
    ] + [0]
    assert table["votes_contempt"].iloc[-1] == 0  # no image name: not a face
    assert report.counts["ferplus-argmax8, train"] == 3
    majority = datasets.load("fer2013", labels="ferplus-majority")
    assert majority.table["emotion"].tolist() == ["neutral", "neutral"]
    assert majority.emotions == ("neutral",)
    assert datasets.read_manifest("fer2013")["ferplus_n"]["ferplus-majority"] == {
        "test": 0,
        "train": 2,
        "val": 0,
    }


def test_the_official_n_of_each_rule_is_asserted_where_the_test_split_is_whole(tmp_path, monkeypatch):
    rows, _ = good_rows(10)
    usages = [row.rsplit(",", 1)[1] for row in rows]
    source = write_csv(tmp_path / "fer2013.csv", rows)
    votes_file(tmp_path / "fer2013new.csv", [v for v, _ in VOTES], usages)
    monkeypatch.setitem(fer2013.OFFICIAL_SPLITS, "test", usages.count("PrivateTest"))
    told = datasets.check("fer2013", source).text()
    assert "ferplus-majority keeps 1 test images; officially 3,153" in told
    monkeypatch.setitem(fer2013.OFFICIAL_TEST_N, "ferplus-majority", 1)
    assert "ferplus-majority keeps" not in datasets.check("fer2013", source).text()


def test_votes_that_do_not_belong_are_refused(tmp_path):
    rows, _ = good_rows(10)
    usages = [row.rsplit(",", 1)[1] for row in rows]
    source = write_csv(tmp_path / "fer2013.csv", rows)
    counts = [v for v, _ in VOTES]
    other = tmp_path / "votes.csv"
    votes_file(other, counts, usages[::-1])
    assert "is not the image's" in reasons(datasets.check("fer2013", source, votes=other))[0]
    votes_file(other, counts[:5], usages[:5])
    assert "5 rows of votes for 10 rows" in reasons(datasets.check("fer2013", source, votes=other))[0]
    other.write_text(VOTE_HEADER + "\nTraining,x,1,2,3\n" + "Training,fer.png,1,2,3,4,5,6,7,8,9,x\n" * 9)
    assert len(reasons(datasets.check("fer2013", source, votes=other))) >= 10
    other.write_text("a,b\n")
    assert "wrong header" in reasons(datasets.check("fer2013", source, votes=other))[0]
    other.write_bytes(b"\xff\xfe\x00")
    assert "unreadable" in reasons(datasets.check("fer2013", source, votes=other))[0]
    with pytest.raises(DataError, match="does not exist"):
        datasets.check("fer2013", source, votes=tmp_path / "nowhere.csv")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=300) | st.text(alphabet='Training,0123x"\n', max_size=300).map(str.encode))
def test_no_votes_file_makes_the_check_crash(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("votes")
    write_csv(folder / "fer2013.csv", [GOOD])
    (folder / "fer2013new.csv").write_bytes(VOTE_HEADER.encode() + b"\n" + content)
    datasets.check("fer2013", folder)


def test_a_source_that_is_not_there_or_nothing_known_is_said(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        datasets.check("fer2013", tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds none of"):
        datasets.check("fer2013", tmp_path)
    with pytest.raises(UsageError, match="Did you mean 'fer2013'"):
        datasets.check("fer2103", tmp_path)


def test_the_marks_of_a_drawn_corpus_reach_the_manifest(tmp_path):
    rows, _ = good_rows()
    write_csv(tmp_path / "fer2013.csv", rows)
    (tmp_path / "DRAWN.json").write_text(json.dumps({"seed": 5}))
    datasets.prepare("fer2013", tmp_path)
    assert datasets.read_manifest("synthetic-fer2013")["drawn"] == {"seed": 5}
