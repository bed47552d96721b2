"""CK+ in its native layout: sequences from neutral to peak, landmarks, FACS codes and emotions.

The labelled sequences take the AU combinations of the real corpus's 327; the others are dealt AUs such that,
over all 593 peaks, each AU is coded as often as in the real corpus.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from ferlib.labels import EMOTIONS
from ferlib.synthetic import dynamics
from ferlib.synthetic.native.plan import (
    U_OF,
    Camera,
    Format,
    Plan,
    Size,
    Take,
    about,
    apportion,
    assemble,
    rng_of,
    spread,
)

LABELLED = {
    "anger": 45, "contempt": 18, "disgust": 59, "fear": 25, "happiness": 69, "sadness": 28, "surprise": 83,
}  # fmt: skip
AU_COUNTS = {
    1: 173, 2: 116, 4: 191, 5: 102, 6: 122, 7: 119, 9: 74, 10: 21, 11: 33, 12: 111, 14: 29, 15: 89, 16: 24,
    17: 196, 18: 9, 20: 77, 23: 59, 24: 57, 25: 287, 26: 48, 27: 81, 28: 1, 43: 9,
}  # fmt: skip
"""Peaks that show each AU, of 593 (Lucey et al. 2010); the 55 codes of AUs the rig lacks are left out."""

SIZES = {
    "quick": Size(subjects=40, takes=200, face_px=112),
    "full": Size(subjects=123, takes=593, face_px=160),
}
CAMERA = Camera("studio", height_cm=25.0, eye_line=0.43)
WIDE, TALL = Format(640, 480, colour=False), Format(640, 490, colour=False)
LABELLED_SHARE, LABELLED_PEOPLE_SHARE = 327 / 593, 118 / 123
COLOUR_FROM = 500  # subjects S501 and later were filmed in colour
COLOUR_PEOPLE_SHARE = 0.08
STRENGTH_UNKNOWN_SHARE = 0.3  # of the codes are "0", present at a strength nobody noted; a guess
MEAN_FRAMES, SHORTEST, LONGEST = 18, 10, 60  # 10,708 frames in 593 sequences
LEVELS = (0.08, 0.22, 0.35, 0.25, 0.10)  # shares of A to E; a guess
ONE_SIDED_SHARE = 0.7  # of the contempt faces
FPS, DRIFT_DEG = 30, 0.8


def plan(size: Size, seed: int = 0) -> Plan:
    """593 sequences of 123 people at full size, 327 of them labelled, over 118 people.

    ``takes`` adds ``emotion`` (None without a label) and ``facs``: AU number -> strength as coded, 0 unknown
    or 1 to 5.  Below full size five frames of a sequence are kept: the first, the middle, the last three.
    """
    rng = rng_of("ckplus", seed, "cast", size.subjects, size.takes)
    combinations = _combinations(size.takes, rng)
    people = _cast(size.subjects, [emotion for emotion, _ in combinations], rng)
    whole = size.takes >= SIZES["full"].takes
    rows, takes, numbers = [], [], Counter[int]()
    order = rng.permutation(len(combinations))  # labels are not each person's first sequences
    for i in order[np.argsort(people[order], kind="stable")]:
        emotion, aus = combinations[i]
        person = int(people[i])
        numbers[person] += 1
        subject, sequence = _subject(person, size.subjects), f"{numbers[person]:03d}"
        row, take = _sequence(i, aus, emotion, f"{subject}/{sequence}", whole, seed)
        rows.append(row | about(subject, person, f"{subject}_{sequence}", _format(subject)))
        takes.append(take)
    return assemble("ckplus", CAMERA, seed, size, rows, takes)


def _subject(person: int, n_people: int) -> str:
    in_colour = round(COLOUR_PEOPLE_SHARE * n_people)
    past = person - (n_people - in_colour)
    return f"S{COLOUR_FROM + 1 + past:03d}" if past >= 0 else f"S{5 + person:03d}"


def _format(subject: str) -> Format:
    number = int(subject[1:])
    if number > COLOUR_FROM:
        return Format(WIDE.width, WIDE.height, colour=True)
    return WIDE if number % 5 == 0 else TALL


# ------------------------------------------------------------------------------------ who shows which AUs


def _combinations(n: int, rng: np.random.Generator) -> list[tuple[str | None, tuple[int, ...]]]:
    """(emotion, AUs) of ``n`` sequences: the labelled ones by emotion, then those with emotion None."""
    from ferlib.synthetic.expressions import ckplus_combinations

    n_labelled = round(n * LABELLED_SHARE)
    labels = spread(LABELLED, n_labelled)
    table = ckplus_combinations()
    labelled: list[tuple[str | None, tuple[int, ...]]] = []
    for emotion, wanted in Counter(labels).items():
        own = table[table["emotion"] == emotion]
        counts = own["count"].to_numpy()
        whole, rest = divmod(wanted, int(counts.sum()))
        # drawn, not apportioned: the largest shares alone would leave out what only a few people do
        drawn = whole * counts + rng.multivariate_hypergeometric(counts, rest)
        for aus, k in zip(own["aus"], drawn, strict=True):
            labelled += [(emotion, tuple(int(n) for n in str(aus).split("+")))] * int(k)
    used = Counter(number for _, aus in labelled for number in aus)
    left = {a: max(0, round(count * n / SIZES["full"].takes) - used[a]) for a, count in AU_COUNTS.items()}
    unlabelled = deal_aus(left, n - n_labelled, [aus for _, aus in labelled], rng)
    return labelled + [(None, aus) for aus in unlabelled]


def deal_aus(
    counts: dict[int, int], n: int, known: list[tuple[int, ...]], rng: np.random.Generator
) -> list[tuple[int, ...]]:
    """Deal AUs to ``n`` peaks: AU a appears ``counts[a]`` times, in the company it keeps in ``known``.

    Each peak gets one AU first (if there are enough); the rest are dealt AU by AU, to peaks drawn without
    replacement, likelier where ``known`` has it with what they hold already (product of smoothed shares).
    """
    together: Counter[tuple[int, int]] = Counter((a, b) for aus in known for a in aus for b in aus)
    left = {a: min(k, n) for a, k in counts.items()}
    total = sum(left.values())
    first = apportion(min(n, total), list(left.values())) if total else [0] * len(left)
    peaks: list[set[int]] = [set() for _ in range(n)]
    for i, a in enumerate(rng.permutation(np.repeat(list(left), first)).tolist()):
        peaks[i].add(a)
        left[a] -= 1
    for a in sorted(left, key=left.__getitem__, reverse=True):
        logs = [sum(np.log((1 + together[a, b]) / (2 + together[b, b])) for b in peak) for peak in peaks]
        fits = np.where([a in peak for peak in peaks], -np.inf, logs)
        for i in np.argsort(-(fits + rng.gumbel(size=n)), kind="stable")[: left[a]]:
            peaks[i].add(a)
    return [tuple(sorted(peak)) for peak in peaks]


def _cast(n_people: int, emotions: list[str | None], rng: np.random.Generator) -> np.ndarray:
    """(C,) person of each sequence: all have one, a few have no label, nobody shows an emotion twice."""
    n_labelled = sum(e is not None for e in emotions)
    labelled_people = rng.permutation(n_people)[: max(1, round(n_people * LABELLED_PEOPLE_SHARE))]
    first = labelled_people[np.arange(n_labelled) % len(labelled_people)]
    others = np.setdiff1d(np.arange(n_people), first)
    rest = len(emotions) - n_labelled
    extra = np.concatenate([others, *[rng.permutation(n_people) for _ in range(rest // n_people + 1)]])[:rest]
    return np.concatenate([first, extra])


# ------------------------------------------------------------------------------------ sequences and labels


def _sequence(
    i: int, aus: tuple[int, ...], emotion: str | None, place: str, whole: bool, seed: int
) -> tuple[dict, Take]:
    """Sequence ``i``, which shows ``aus``: its row in the table and its frames from neutral to peak."""
    rng = rng_of("ckplus", seed, "sequence", i)
    n_frames = min(int(SHORTEST + 0.5 + rng.gamma(2.0, (MEAN_FRAMES - SHORTEST) / 2.0)), LONGEST)
    kept = np.arange(n_frames) if whole else np.r_[0, n_frames // 2, n_frames - 3 : n_frames]
    strength = {a: int(rng.choice(5, p=LEVELS)) + 1 for a in aus}
    peak = np.zeros((len(U_OF), 2))
    for a, level in strength.items():
        weaker = rng.integers(2)
        peak[U_OF[a]] = level + rng.uniform(-0.3, 0.3)
        if emotion == "contempt" and a in (12, 14) and rng.random() < ONE_SIDED_SHARE:
            peak[U_OF[a], weaker] *= 0.1
    unknown = rng.random(len(aus)) < STRENGTH_UNKNOWN_SHARE
    facs = {a: 0 if hidden else strength[a] for a, hidden in zip(aus, unknown, strict=True)}
    stem = place.replace("/", "_")
    numbers = range(1, len(kept) + 1)
    files = [f"cohn-kanade-images/{place}/{stem}_{k:08d}.png" for k in numbers]
    levels = dynamics.onset(np.clip(peak, 0, 5), n_frames, rng)
    drift = dynamics.drift(n_frames, FPS, DRIFT_DEG, rng)
    return {"emotion": emotion, "facs": facs}, Take(numbers, files, levels[kept], drift[kept])


def write_labels(folder: Path, plan: Plan, landmarks: np.ndarray) -> None:
    """Landmarks of every frame, FACS codes and emotion of every last one, empty folders, ``.DS_Store``."""
    for file, points in zip(plan.frames["file"], landmarks, strict=True):
        _write_rows(folder / _beside(file, "Landmarks", "_landmarks.txt"), points)
    last = plan.frames["file"].to_numpy()[plan.last_frames]
    coded = zip(last, plan.takes["emotion"], plan.takes["facs"], strict=True)
    for i, (file, named, facs) in enumerate(coded):
        _write_rows(folder / _beside(file, "FACS", "_facs.txt"), sorted(facs.items()))
        emotion = folder / _beside(file, "Emotion", "_emotion.txt")
        if isinstance(named, str):
            _write_rows(emotion, [(EMOTIONS.index(named),)])
        elif i % 2:  # of the sequences without a label, some have an empty folder and some have none
            emotion.parent.mkdir(parents=True)
    for place in (folder / "cohn-kanade-images", folder / "Emotion", (folder / last[0]).parent):
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def _beside(file: str, branch: str, ending: str) -> str:
    return file.replace("cohn-kanade-images", branch, 1).replace(".png", ending)


def _write_rows(file: Path, rows) -> None:
    """Numbers as CK+ writes them: ``   1.7000000e+01   2.0000000e+00``, one row a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    text = "".join("".join(f"   {value:.7e}" for value in row) + "\n" for row in rows)
    file.write_text(text, encoding="ascii", newline="\n")
