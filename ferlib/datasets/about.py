"""What each corpus is: title, size, people, licence, where to apply, reference."""

from __future__ import annotations

from dataclasses import dataclass

from ferlib.labels import DRAWN_PREFIX


@dataclass(frozen=True)
class About:
    """The published facts of a corpus; ``n_people`` is None where the people are not known."""

    title: str
    content: str
    n_people: int | None
    licence: str
    apply_at: str
    reference: str


ABOUT: dict[str, About] = {
    "fer2013": About(
        "FER2013", "35,887 web faces, 48 x 48 px, 7 emotions", None,
        "no open licence: research use",
        "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        "Goodfellow et al. 2013",
    ),
    "ckplus": About(
        "Extended Cohn-Kanade (CK+)", "593 posed sequences, 327 labelled, 8 emotions, AUs at the peak", 123,
        "signed agreement: non-commercial research",
        "https://www.jeffcohn.net/resources/",
        "Lucey et al. 2010",
    ),
    "novaemotions": About(
        "NovaEmotions", "42,911 faces of players, 8 emotions by crowd vote", 46,
        "on request; availability unclear",
        "the authors, by e-mail",
        "Mourão & Magalhães 2013",
    ),
    "casme2": About(
        "CASME II", "255 micro-expression clips, 200 fps, AUs, 7 emotions", 26,
        "signed agreement: research",
        "http://casme.psych.ac.cn/casme/e2",
        "Yan et al. 2014",
    ),
    "samm": About(
        "SAMM", "159 micro-expression clips, 200 fps, AUs, objective classes", 32,
        "signed agreement: research",
        "https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php",
        "Davison et al. 2018",
    ),
    "smic": About(
        "SMIC-HS", "164 micro-expression clips, 100 fps, 3 classes", 16,
        "signed agreement: research",
        "https://www.oulu.fi/en/university/faculties-and-units/faculty-information-technology-and-electrical-"
        "engineering/center-for-machine-vision-and-signal-analysis",
        "Li et al. 2013",
    ),
}  # fmt: skip


def how_to_get(name: str) -> str:
    """Where to apply for corpus ``name``, and the command that draws it."""
    plain = name.removeprefix(DRAWN_PREFIX)
    if plain not in ABOUT and plain != "probe":
        return f"Look at your copy first:  ferlib corpus check {name} PATH"
    draw = f"Draw it:  ferlib corpus make {plain}"
    return f"Apply for it: {ABOUT[plain].apply_at}\n{draw}" if plain in ABOUT else draw
