"""Does it travel?  Networks of one corpus tested on another, and why they fail or hold.

``settings``  what a matrix is made of; who may meet whom
``matrix``    networks, features, heads and fine-tuning, in parallel; ``cells`` the numbers
``classes`` ``samples`` ``retrained`` ``tuned``  the pieces: class mapping, shares of labels, heads, fine-tuning
``shift`` ``matching`` ``factors``  how corpora differ, what matching their pictures changes, one thing at a time
``actions`` ``leaks``  Action Units from emotion features; what leaks do to a number
"""

from __future__ import annotations

from ferlib.transfer.cells import Cell, cells_of, confusion_difference, per_class, summary
from ferlib.transfer.matrix import answers, networks, units_of
from ferlib.transfer.settings import MODES, Matrix, Unit

__all__ = ["MODES", "Cell", "Matrix", "Unit", "answers", "cells_of", "confusion_difference", "networks",
           "per_class", "summary", "units_of"]  # fmt: skip
