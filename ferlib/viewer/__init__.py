"""Objects with three faces: a picture always, an explorer in a page without a kernel, widgets in a live one."""

from ferlib.viewer.au_plates import AUPlates, coloured_change
from ferlib.viewer.au_slider import UPPER, AUSlider, sentence, title
from ferlib.viewer.common import data_url, is_live, webp

__all__ = [
    "UPPER", "AUPlates", "AUSlider", "coloured_change", "data_url", "is_live", "sentence", "title", "webp",
]  # fmt: skip
