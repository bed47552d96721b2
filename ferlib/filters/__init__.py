"""The filters of a trained network: what excites them, where they look, what they answer to, what they are for.

``record``       conv layers and their activations, by hooks that never outlive a call
``atlas``        one pass over a corpus: strongest faces, how often and how much each filter fires
``fields``       receptive fields
``attribution``  guided back-propagation, deconvnet, gradient (Captum), occlusion
``maximise``     pictures that excite a filter, from noise
``dissection``   overlap of strong places with the regions that AUs move
``regions``      drawn faces with those regions, exactly; ``landmarks`` builds them from 68 landmarks
``stimuli``      faces drawn for experiments, kept in the home
``tuning``       tuning curves, selectivity, interactions, variance shares
``ablation``     what each emotion loses when filters fall silent
``controls``     untrained and label-shuffled networks, HOG cells, model randomisation

A layer is named by its convolution (``block3.conv``), a filter by layer and number (``block3.conv:17``); its
activation is read after that convolution's ReLU and before pooling.
"""

from ferlib.filters.ablation import ablated, ablation, named_rightly
from ferlib.filters.atlas import Atlas, max_activations, rank
from ferlib.filters.attribution import (
    METHODS,
    OUTPUT,
    Maps,
    attribution,
    deconvnet,
    guided_backprop,
    occlusion,
    rivals,
    strongest,
)
from ferlib.filters.controls import (
    cascade,
    chance_similarity,
    hog_cells,
    randomisation_check,
    shuffled_emotions,
    similarities,
    ssim,
)
from ferlib.filters.dissection import dissect, iou, strong_places, thresholds
from ferlib.filters.fields import Field, field_of, receptive_field
from ferlib.filters.landmarks import AREAS, aligned_points, ckplus_landmarks, landmark_faces, landmark_regions
from ferlib.filters.maximise import Maximised, maximise
from ferlib.filters.record import conv_layers, maps_of_face, recording
from ferlib.filters.regions import RegionPlan, Regions, region_faces
from ferlib.filters.stimuli import (
    PAIRS,
    TUNED_AUS,
    ExchangePlan,
    Stimuli,
    TuningPlan,
    exchange_faces,
    tuning_faces,
)
from ferlib.filters.tuning import (
    Curves,
    Tuning,
    causes,
    curves,
    interactions,
    over_people,
    selectivity,
    tuning,
    variance_shares,
)

__all__ = [
    "AREAS", "METHODS", "OUTPUT", "PAIRS", "TUNED_AUS", "Atlas", "Curves", "ExchangePlan", "Field", "Maps",
    "Maximised", "RegionPlan", "Regions", "Stimuli", "Tuning", "TuningPlan", "ablated", "ablation",
    "aligned_points", "attribution", "cascade", "causes", "chance_similarity", "ckplus_landmarks",
    "conv_layers", "curves", "deconvnet", "dissect", "exchange_faces", "field_of", "guided_backprop",
    "hog_cells", "interactions", "iou", "landmark_faces", "landmark_regions", "maps_of_face", "max_activations",
    "maximise", "named_rightly", "occlusion", "over_people", "randomisation_check", "rank", "receptive_field",
    "recording", "region_faces", "rivals", "selectivity", "shuffled_emotions", "similarities", "ssim",
    "strong_places", "strongest", "thresholds", "tuning", "tuning_faces", "variance_shares",
]  # fmt: skip
