"""Numbers that others reported, in one place, so that no page types them.

Those of Breuer and Kimmel 2017 (arXiv:1705.01842) are marked ``to_check``: they were noted from memory of the
paper and have yet to be read in it again.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Reported:
    """A number of somebody else."""

    value: float
    spread: float | None  # what stands behind the +-, as printed there
    meaning: str
    source: str  # key in references.bib
    to_check: bool = False

    def __str__(self) -> str:
        spread = f" ± {100 * self.spread:.4g}" if self.spread else ""
        return f"{100 * self.value:.4g}{spread} %" + (" (to check)" if self.to_check else "")


REPORTED: dict[str, Reported] = {
    "fer2013": Reported(0.721, 0.005, "accuracy on FER2013, seven emotions", "breuer2017deep", to_check=True),
    "ckplus": Reported(
        0.9862, 0.0011, "accuracy on CK+, eight emotions, ten folds", "breuer2017deep", to_check=True
    ),
    "fer2013_people": Reported(0.65, 0.05, "accuracy of people on FER2013", "goodfellow2013challenges"),
    "fer2013_winner": Reported(
        0.712, None, "accuracy of the winner of the challenge", "goodfellow2013challenges"
    ),
}
"""What the pages quote, by the key that they glue."""
