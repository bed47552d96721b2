"""Words are translated once, and AU columns are read in one place."""

import numpy as np
import pandas as pd
import pytest

from ferlib import labels


def test_every_foreign_code_means_an_emotion_of_the_book():
    assert len(set(labels.EMOTIONS)) == 8
    assert set(labels.FER2013_CODES) == set(labels.EMOTIONS) - {"contempt"}
    assert set(labels.EMOTION_WORDS.values()) == set(labels.EMOTIONS)
    assert labels.EMOTION_WORDS.items() >= labels.FER2013_FOLDERS.items()
    assert set(labels.FER2013_FOLDERS.values()) == set(labels.FER2013_CODES)
    assert set(labels.FERPLUS_COLUMNS[:8]) == set(labels.EMOTIONS)
    assert set(labels.FER2013_USAGES.values()) == set(labels.SPLITS)


def test_folders_in_alphabetical_order_are_not_the_codes_of_the_csv():
    """The trap: folder 4 is neutral, code 4 is sadness."""
    by_folder = [labels.FER2013_FOLDERS[name] for name in sorted(labels.FER2013_FOLDERS)]
    assert by_folder[4:] == ["neutral", "sadness", "surprise"]
    assert list(labels.FER2013_CODES[4:]) == ["sadness", "surprise", "neutral"]


def test_every_named_au_has_a_muscle_and_every_drawn_au_a_name():
    assert set(labels.AU_MUSCLES) == set(labels.AU_NAMES)
    assert set(labels.DRAWN_AUS) <= set(labels.AU_NAMES)
    assert len(labels.DRAWN_AUS) == 25


def test_au_columns_have_two_digits():
    assert labels.au_column(1) == "AU01"
    assert labels.au_title("AU12") == "AU 12 (lip corner puller)"
    for number in (0, 100, -1):
        with pytest.raises(ValueError, match="not an Action Unit"):
            labels.au_column(number)


def test_presence_and_level_read_the_stored_codes():
    table = pd.DataFrame({"AU12": [0, 1, 5, 6, np.nan], "AU01": [6, 0, 0, 2, np.nan], "AUX": 1, "image": "i"})
    assert labels.au_columns(table) == ["AU01", "AU12"]
    np.testing.assert_array_equal(
        labels.au_present(table), np.array([[1, 0], [0, 1], [0, 1], [1, 1], [np.nan, np.nan]], np.float32)
    )
    np.testing.assert_array_equal(
        labels.au_level(table, ["AU12"]), np.array([[0], [1], [5], [np.nan], [np.nan]], np.float32)
    )
    assert labels.au_present(table).dtype == np.float32
