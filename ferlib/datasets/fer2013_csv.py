"""Parse the csv variants of FER2013: bytes to faces, half a megabyte at a time.

Two parsers of the same language.  :func:`parse_line` reads one line slowly and says what is wrong with it.
:func:`_parse_block` reads some 70 lines at once with uint8 arithmetic on their bytes, and hands every line
that it is not sure of to the slow one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ferlib.labels import FER2013_CODES, FER2013_USAGES

SIDE = 48
N_PIXELS = SIDE * SIDE
BLOCK_BYTES = 1 << 19
N_THREADS = 2
LONGEST_LINE_BYTES = 1 << 16  # a right line has at most 9,250
LARGEST_FILE_BYTES = 2 << 30  # the official file has 301 million
TAG_BYTES = 32  # room for everything before the pixels, and for everything after them
COLUMNS = ("emotion", "pixels", "Usage")
USAGES = tuple(FER2013_USAGES)


class BadFile(ValueError):
    """Not a csv file of FER2013 at all, with the reason."""


@dataclass(frozen=True)
class Faces:
    """What a csv file holds.

    images : (N, 48, 48) uint8 grey levels, row-major as in the file.
    emotion : (N,) uint8 code 0 to 6.   usage : (N,) uint8 index into ``USAGES``, 255 where the file has none.
    line : (N,) int64 line number, the header being 1.   row : (N,) int64 number of the data row, from 0.
    bad : (line number, reason) of each row left out.   n_rows : rows in the file, bad ones included.
    """

    images: np.ndarray
    emotion: np.ndarray
    usage: np.ndarray
    line: np.ndarray
    row: np.ndarray
    bad: list[tuple[int, str]]
    n_rows: int


def read_header(line: bytes) -> tuple[str, ...]:
    """Column names of a header line, without the leading spaces that ``icml_face_data.csv`` has.

    Raises :class:`BadFile` with the reason.
    """
    if line[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadFile("not UTF-8 (it starts like UTF-16)")
    try:
        text = line.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError:
        raise BadFile("not UTF-8") from None
    names = tuple(name.strip(' "\r\n') for name in text.split(","))
    if not {"emotion", "pixels"} <= set(names) <= set(COLUMNS) or len(set(names)) < len(names):
        raise BadFile(f"wrong header {text.strip()[:60]!r} instead of 'emotion,pixels,Usage' (in any order)")
    return names


def parse_line(line: bytes, columns: tuple[str, ...]) -> tuple[np.ndarray, int, int]:
    """Read one line.  Returns (2304,) uint8 pixels, the emotion's code and the usage's index (255: none).

    Raises ``ValueError`` with everything that is wrong.
    """
    if len(line) > LONGEST_LINE_BYTES:
        raise ValueError(f"a line of more than {LONGEST_LINE_BYTES:,} bytes")
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    fields = [field.strip(' "\r\n') for field in text.split(",")]
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} fields instead of {len(columns)}")
    field = dict(zip(columns, fields, strict=True))
    wrong = []
    emotion = field["emotion"]
    if not _is_whole(emotion):
        wrong.append(f"emotion {emotion[:20]!r} is not a whole number")
    elif int(emotion) >= len(FER2013_CODES):
        wrong.append(f"unknown emotion {emotion[:20]} (known: 0 to {len(FER2013_CODES) - 1})")
    usage = field.get("Usage")
    if usage is not None and usage not in USAGES:
        wrong.append(f"unknown usage {usage[:20]!r} (known: {', '.join(USAGES)})")
    try:
        pixels = _parse_pixels(field["pixels"])
    except ValueError as error:
        wrong.append(str(error))
    if wrong:
        raise ValueError("; ".join(wrong))
    return pixels, int(emotion), 255 if usage is None else USAGES.index(usage)


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19


def _parse_pixels(text: str) -> np.ndarray:
    words = text.split()
    for i, word in enumerate(words, start=1):
        if not _is_whole(word):
            raise ValueError(f"pixel {i} is {word[:20]!r}, not a whole number")
        if int(word) > 255:
            raise ValueError(f"pixel {i} is {word[:20]}, outside 0 to 255")
    if len(words) != N_PIXELS:
        raise ValueError(f"{len(words):,} pixels instead of {N_PIXELS:,}")
    return np.array(words, dtype=np.uint8)


def read_csv(path: Path) -> Faces:
    """Read every face of a csv file; bad rows are left out and listed.  Raises ``BadFile``, ``OSError``."""
    if path.stat().st_size > LARGEST_FILE_BYTES:
        raise BadFile(f"{path.stat().st_size:,} bytes; at most {LARGEST_FILE_BYTES:,} make sense here")
    # once a large block was freed, the C library keeps freed memory for reuse; else every block of the file
    # pays for fresh pages, which doubles the time (measured with glibc 2.36)
    np.empty(24 << 20, np.uint8)
    with path.open("rb") as file:
        first = file.readline(LONGEST_LINE_BYTES)
        if not first.strip():
            raise BadFile("empty file" if not first else "wrong header: the first line is blank")
        columns = read_header(first)
        # a row has at least one digit and one space a pixel; memory that is never written to costs nothing
        kept = _Kept(capacity=path.stat().st_size // (2 * N_PIXELS) + 1)
        with ThreadPoolExecutor(N_THREADS) as pool:  # array arithmetic lets other threads run
            waiting: deque[Future[_Block]] = deque()
            for block in _blocks(file):
                waiting.append(pool.submit(_read_block, block, columns))
                if len(waiting) > 2 * N_THREADS:
                    kept.add(waiting.popleft().result())
            for job in waiting:
                kept.add(job.result())
    return kept.faces()


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """Whole lines, half a megabyte at a time; the very last may lack its newline.

    Of a monstrous line only the beginning is kept: enough to know that it is too long, in bounded memory.
    """
    rest = b""
    while data := file.read(BLOCK_BYTES):
        data = rest + data
        cut = data.rfind(b"\n") + 1
        if cut:
            yield data[:cut]
        rest = data[cut:][: LONGEST_LINE_BYTES + 1]
    if rest:
        yield rest


@dataclass(frozen=True)
class _Block:
    """A block of L lines: indices (G,) of the good ones, their pixels (G, 2304) and tags (G, 2), the rest."""

    n_lines: int
    good: np.ndarray
    pixels: np.ndarray
    tags: np.ndarray
    bad: list[tuple[int, str]]
    blank: list[int]


def _read_block(block: bytes, columns: tuple[str, ...]) -> _Block:
    """Parse a block; what the fast parser is not sure of is read line by line."""
    whole = block if block.endswith(b"\n") else block + b"\n"
    sure, pixels, tags = _parse_block(whole, columns)
    good = np.flatnonzero(sure)
    if len(good) == len(sure):
        return _Block(len(sure), good, pixels, tags, [], [])
    lines = whole.split(b"\n")
    bad: list[tuple[int, str]] = []
    blank: list[int] = []
    for i in np.flatnonzero(~sure).tolist():
        if not lines[i].strip():
            blank.append(i)
            continue
        try:
            face, *tag = parse_line(lines[i], columns)
        except ValueError as error:
            cut = "truncated last line: " if whole is not block and i == len(sure) - 1 else ""
            bad.append((i, f"{cut}{error}"))
            continue
        at = int(np.searchsorted(good, i))
        good = np.insert(good, at, i)
        pixels = np.insert(pixels, at, face, axis=0)
        tags = np.insert(tags, at, tag, axis=0)
    return _Block(len(sure), good, pixels, tags, bad, blank)


class _Kept:
    """Collects block after block in arrays that are large enough from the start."""

    def __init__(self, capacity: int) -> None:
        self.pixels = np.empty((capacity, N_PIXELS), np.uint8)
        self.tags = np.empty((capacity, 2), np.uint8)
        self.line = np.empty(capacity, np.int64)
        self.row = np.empty(capacity, np.int64)
        self.bad: list[tuple[int, str]] = []
        self.n_kept, self.n_rows, self.n_lines = 0, 0, 1  # the header is line 1

    def add(self, block: _Block) -> None:
        """Append the rows of ``block`` with their line and row numbers."""
        place = slice(self.n_kept, self.n_kept + len(block.good))
        is_row = np.ones(block.n_lines, np.int64)
        is_row[block.blank] = 0
        self.pixels[place] = block.pixels
        self.tags[place] = block.tags
        self.line[place] = self.n_lines + 1 + block.good
        self.row[place] = self.n_rows + np.cumsum(is_row)[block.good] - 1
        self.bad += [(self.n_lines + 1 + i, reason) for i, reason in block.bad]
        self.n_kept = place.stop
        self.n_rows += int(is_row.sum())
        self.n_lines += block.n_lines

    def faces(self) -> Faces:
        n = self.n_kept
        images, tags = self.pixels[:n].reshape(n, SIDE, SIDE), self.tags[:n]
        return Faces(images, tags[:, 0], tags[:, 1], self.line[:n], self.row[:n], self.bad, self.n_rows)


def _parse_block(block: bytes, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parse L whole lines at once.

    Returns which lines are surely good (L,) bool, and of these G lines the pixels (G, 2304) uint8 and
    the tags (G, 2) uint8: emotion code and usage index.
    """
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    left, right, sure = _pixel_field(text, starts, ends, columns)
    # what surrounds the pixels: (L, TAG_BYTES) positions before them and after them
    reach = np.arange(TAG_BYTES)
    before, after = starts[:, None] + reach, right[:, None] + reach
    is_before = (before < left[:, None]) & sure[:, None]
    is_after = (after <= ends[:, None]) & sure[:, None]
    around = np.concatenate([np.where(is_before, before, -1), np.where(is_after, after, -1)], axis=1)
    tags, known = _read_tags(np.where(around < 0, ord(" "), text[around]).astype(np.uint8), columns)
    sure &= known
    numbers = np.full(len(text) + 4, ord(" "), np.uint8)  # three blanks before the text, one after
    numbers[3:-1] = text
    numbers[3 + around[around >= 0]] = ord(" ")
    values, is_last, strange = _parse_numbers(numbers)
    per_line = np.add.reduceat(is_last.view(np.uint8), starts, dtype=np.uint16)
    sure &= per_line == N_PIXELS
    if strange is not None:
        sure[np.searchsorted(ends, np.flatnonzero(strange))] = False
    if not sure.all():
        is_last &= np.repeat(sure, ends - starts + 1)
    return sure, np.compress(is_last, values).reshape(-1, N_PIXELS), tags[sure]


def _pixel_field(
    text: np.ndarray, starts: np.ndarray, ends: np.ndarray, columns: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pixels of each line begin and end (L,), quotes excluded, and whether it is regular (L,)."""
    which = columns.index("pixels")
    commas = np.flatnonzero(text == ord(","))
    first = np.searchsorted(commas, starts)
    regular = np.diff(first, append=len(commas)) == len(columns) - 1
    commas = np.append(commas, np.full(len(columns), len(text) - 1))  # so that irregular lines find something
    left = starts if which == 0 else commas[first + which - 1] + 1
    right = ends if which == len(columns) - 1 else commas[first + which]
    left = left + (text[np.minimum(left, len(text) - 1)] == ord('"'))
    for closing in b'\r"':
        right = right - (text[right - 1] == closing)
    regular &= (left < right) & (left - starts < TAG_BYTES) & (ends - right < TAG_BYTES)
    return left, right, regular


def _read_tags(around: np.ndarray, columns: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Read the bytes before and after the pixels, (L, 2 TAG_BYTES) uint8.

    Few different ones occur, so each is read once.  Returns tags (L, 2) uint8 and which are known (L,) bool.
    """
    kinds, which = np.unique(around.view(f"S{around.shape[1]}")[:, 0], return_inverse=True)
    read = [_read_tag(bytes(kind), columns) for kind in kinds]
    tags = np.array([tag or (0, 0) for tag in read], np.uint8)
    return tags[which], np.array([tag is not None for tag in read])[which]


def _read_tag(around: bytes, columns: tuple[str, ...]) -> tuple[int, int] | None:
    """Emotion code and usage index of ``b'0,  ,Training'``, or None where the slow parser must look."""
    try:
        fields = [field.strip(' "\r\n') for field in around.decode("ascii").split(",")]
    except UnicodeDecodeError:
        return None
    field = dict(zip(columns, fields, strict=False))
    emotion, usage = field.get("emotion", ""), field.get("Usage")
    if len(emotion) != 1 or emotion not in "0123456" or not (usage is None or usage in USAGES):
        return None
    return int(emotion), 255 if usage is None else USAGES.index(usage)


def _parse_numbers(text: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Parse whole numbers below 256 that are separated by blanks.

    text : (3 + T + 1,) uint8, three blanks, T bytes, one blank.

    Returns three (T,) arrays: at each byte the value of the number that ends there, whether a number does,
    and whether the byte makes its line strange: neither digit nor blank, a fourth digit, a number above 255.
    The last one is None where nothing is strange.
    """
    digit = text & np.uint8(15)  # "0" to "9" are 48 to 57, the blank is 32
    is_digit = text >= ord("0")
    is_blank = text == ord(" ")
    pair = is_digit[:-1] & is_digit[1:]  # (T + 3,): this byte and the next
    hundreds = digit[1:-3] * pair[2:-1]
    below = digit[2:-2] * np.uint8(10)
    below += digit[3:-1]  # 0 to 99
    values = hundreds * np.uint8(100)
    values += below
    fourth = pair[2:-1] & pair[:-3]
    wraps = values < below  # as 200 + 56 and more do
    regular = (
        text.max() <= ord("9")
        and np.count_nonzero(is_digit) + np.count_nonzero(is_blank) == len(text)
        and hundreds.max() <= 2
        and not (wraps.any() or fourth.any())
    )
    if regular:
        return values, is_digit[3:-1] > is_digit[4:], None
    foreign = ~(is_digit | is_blank) | (text > ord("9"))
    return values, is_digit[3:-1] > is_digit[4:], foreign[3:-1] | (hundreds > 2) | wraps | fourth
