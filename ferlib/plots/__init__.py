"""Figures: each takes tables or pictures and returns Axes.  Nothing is computed here that a reader would cite.

``common``  what several chapters draw; each further file holds what one chapter draws, under its name
"""

from ferlib.plots.actions import *  # noqa: F403
from ferlib.plots.common import *  # noqa: F403
from ferlib.plots.filters import *  # noqa: F403
from ferlib.plots.story import *  # noqa: F403
from ferlib.plots.transfer import *  # noqa: F403
