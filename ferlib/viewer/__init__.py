"""Objects with three faces: a picture always, an explorer in a page without a kernel, widgets in a live one."""

from ferlib.viewer.au_plates import AUPlates, coloured_change
from ferlib.viewer.au_slider import UPPER, AUSlider, sentence, title
from ferlib.viewer.bench import Bench, cropped_sitter
from ferlib.viewer.common import data_url, is_live, webp
from ferlib.viewer.filter_viewer import FilterViewer
from ferlib.viewer.layers import Layer, Profile, Tuned, layer_of
from ferlib.viewer.sprites import credited

__all__ = [
    "UPPER", "AUPlates", "AUSlider", "Bench", "FilterViewer", "Layer", "Profile", "Tuned",
    "coloured_change", "credited", "cropped_sitter", "data_url", "is_live", "layer_of", "sentence", "title", "webp",
]  # fmt: skip
