"""What the corpora of micro-expression clips share: their workbook, and the checks of a clip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ferlib.datasets.files import BadFile, read_sheet
from ferlib.datasets.native import LayoutError
from ferlib.datasets.report import Report
from ferlib.datasets.sequences import (
    MAX_NUMBER,
    Sequence,
    fill_absent,
    known_columns,
    numbered_files,
    one_spelling,
    parse_codes,
    subfolders,
)
from ferlib.labels import AU_NAMES, EMOTIONS, au_column

HEADER_WITHIN = 40  # rows; SAMM's stands on row 14


def find_workbook(source: Path, pattern: str) -> Path:
    """The workbook in ``source``.  Raises ``DataError`` where there is none or more than one."""
    if not source.is_dir():
        raise LayoutError(f"{source} is not a folder. Give the one that holds {pattern}")
    found = sorted(file for file in source.glob(pattern) if not file.name.startswith((".", "~")))
    if len(found) != 1:
        raise LayoutError(f"{source} holds {len(found) or 'no'} workbook {pattern}; exactly one is needed")
    return found[0]


@dataclass(frozen=True)
class SheetRow:
    """One row of a workbook: its line from 1, and its cells by column name."""

    line: int
    cells: dict[str, Any]

    def text(self, name: str) -> str:
        """The cell as text without blanks around it."""
        value = self.cells.get(name, "")
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()

    def whole(self, name: str) -> int:
        """The cell as a whole number from 0.  Raises ``ValueError`` naming the column."""
        text = self.text(name)
        if not (text.isascii() and text.isdigit() and int(text) <= MAX_NUMBER):
            raise ValueError(f"{name} {text[:20]!r} is not a whole number")
        return int(text)


def read_rows(file: Path, root: Path, columns: tuple[str, ...], report: Report) -> list[SheetRow]:
    """The rows of the first sheet under the header that names all of ``columns``; blank rows are left out.

    Where there is no such sheet or header that is a problem and there are no rows.
    """
    where = file.relative_to(root)
    try:
        cells = read_sheet(file, root)
    except BadFile as error:
        report.problem(where, None, str(error))
        return []
    wanted = {_plain(name): name for name in columns}
    headers = [[wanted.get(_plain(cell), "") for cell in row] for row in cells[:HEADER_WITHIN]]
    at = next((i for i, names in enumerate(headers) if set(columns) <= set(names)), None)
    if at is None:
        report.problem(where, None, f"no header with the columns {', '.join(columns)}")
        return []
    names, rows = headers[at], []
    for line, row in enumerate(cells[at + 1 :], start=at + 2):
        named = {name: cell for name, cell in zip(names, row, strict=False) if name}
        if any(str(cell).strip() for cell in named.values()):
            rows.append(SheetRow(line, named))
    return rows


def _plain(cell: Any) -> str:
    return str(cell).replace(" ", "").replace("-", "").lower()


@dataclass
class ClipCodes:
    """What a workbook says of one clip.

    label : the corpus's own word for the emotion.   levels : AU number -> stored level, None where not coded.
    """

    subject: str
    name: str
    label: str
    onset: int
    apex: int | None
    offset: int
    levels: dict[int, int] | None
    au_codes: str
    more: dict[str, Any] = field(default_factory=dict)


Interpret = Callable[[SheetRow], ClipCodes]
"""One row -> what it says.  Raises ``ValueError`` with the reason."""


def read_codes(
    rows: list[SheetRow], interpret: Interpret, file: str, report: Report
) -> list[tuple[int, ClipCodes]]:
    """(line, codes) of each good row; a bad one and a clip that is there twice are problems."""
    found: dict[tuple[str, str], tuple[int, ClipCodes]] = {}
    for row in rows:
        try:
            codes = interpret(row)
            _check_order(codes)
        except ValueError as error:
            report.problem(file, row.line, str(error))
            continue
        key = codes.subject, codes.name.lower()
        if key in found:
            reason = f"clip {codes.name} of {codes.subject} is there twice, first in line {found[key][0]}"
            report.problem(file, row.line, reason)
            continue
        unknown = [n for n in codes.levels or () if au_column(n) not in AU_NAMES]
        if unknown:
            report.notice(file, row.line, f"AU {', '.join(map(str, unknown))}: not used by this book")
        found[key] = row.line, codes
    return list(found.values())


def _check_order(codes: ClipCodes) -> None:
    if codes.onset > codes.offset:
        raise ValueError(f"onset {codes.onset} comes after offset {codes.offset}")
    if codes.apex is not None and not codes.onset <= codes.apex <= codes.offset:
        raise ValueError(f"apex {codes.apex} is not between onset {codes.onset} and offset {codes.offset}")


def parse_clip_codes(text: str) -> dict[int, int] | None:
    """AU levels of a cell; None where it is blank or a question mark.  Raises ``ValueError``."""
    text = text.replace("?", "").strip()
    return parse_codes(text) if text else None


def clip_sequence(
    codes: ClipCodes,
    line: int,
    files: list[tuple[int, Path]],
    fps: int,
    where: tuple[str, str],
    report: Report,
) -> Sequence | None:
    """The frames from onset to offset of one clip, with what its row says.

    where : (workbook, folder of the clip), for messages.  A coded frame that has no picture is a problem; a
    clip without any picture in its range is left out with one.
    AU levels stand in the row of the apex alone: elsewhere in the clip nobody coded them.
    """
    inside = [(number, file) for number, file in files if codes.onset <= number <= codes.offset]
    there = {number for number, _ in inside}
    if not inside:
        reason = f"no picture of frames {codes.onset} to {codes.offset} in {where[1]}"
        report.problem(where[0], line, reason)
        return None
    for name, number in (("onset", codes.onset), ("apex", codes.apex), ("offset", codes.offset)):
        if number is not None and number not in there:
            report.problem(
                where[0], line, f"the picture of the {name}, frame {number}, is missing in {where[1]}"
            )
    columns: dict[str, Any] = {
        "emotion": codes.label if codes.label in EMOTIONS else None,
        "label": codes.label,
        "au_codes": codes.au_codes,
        "onset": codes.onset,
        "apex": codes.apex,
        "offset": codes.offset,
        "fps": fps,
        **codes.more,
    }
    sequence = Sequence(codes.subject, codes.name, inside, len(inside), columns)
    if codes.apex in there and codes.levels is not None:
        sequence.by_frame[codes.apex] = {"coded": True, **known_columns(codes.levels)}
    return sequence


def clip_folders(
    folder: Path, root: Path, person: str, subject: str, report: Report
) -> dict[tuple[str, str], Path]:
    """(subject, name in small letters) -> folder of each clip in ``folder/<person>/``.

    person : pattern of a person's folder, with the number in its first group.   subject : how it is written.
    """
    people = one_spelling(subfolders(folder, root, report), person, root, report)
    return {
        (subject.format(number), clip.name.lower()): clip
        for number, inner in sorted(people.items())
        for clip in subfolders(inner, root, report)
    }


def join(
    coded: list[tuple[int, ClipCodes]],
    folders: dict[tuple[str, str], Path],
    frame: str,
    fps: int,
    workbook: str,
    report: Report,
) -> list[Sequence]:
    """The clips that have both a row and a folder; a row without a folder is a problem, the reverse a notice."""
    root, sequences = report.source, []
    left = dict(folders)
    for line, codes in coded:
        folder = left.pop((codes.subject, codes.name.lower()), None)
        if folder is None:
            report.problem(workbook, line, f"no folder of clip {codes.name} of {codes.subject}")
            continue
        files = numbered_files(folder, frame, root, report)
        where = workbook, folder.relative_to(root).as_posix()
        sequence = clip_sequence(codes, line, files, fps, where, report)
        if sequence is not None:
            sequences.append(sequence)
    for folder in left.values():
        report.notice(folder.relative_to(root), None, f"no row in {workbook}; passed over")
    fill_absent(sequences)
    return sequences


def count_labels(sequences: list[Sequence], official: dict[str, int], report: Report, drawn: bool) -> None:
    """Count clips a label; compare with the official release unless drawn."""
    labels = [str(sequence.columns["label"]) for sequence in sequences]
    found = {name: labels.count(name) for name in sorted({*labels, *official})}
    report.counts |= {f"clips of {name}": n for name, n in found.items()}
    if not drawn:
        report.compare(found, official, "clips of {}")
