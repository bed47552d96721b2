"""Augmentation moves faces as asked, and by (seed, epoch, row) alone."""

import numpy as np
import pytest
import torch

from ferlib import augment
from ferlib.augment import Augmentation

STILL = Augmentation(rotation=0, shift=0, zoom=0, shear=0, flip="none")


def faces(n=4, size=16):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(1))


def theta(*rows):
    return torch.tensor(rows, dtype=torch.float32)[None]


def test_nothing_moves_when_every_range_is_zero():
    rows = torch.arange(4)
    torch.testing.assert_close(augment.warp(faces(), augment.affine(STILL, 0, 0, rows)), faces())


def test_a_flip_is_the_mirror_image():
    rows = torch.arange(200)
    maps = augment.affine(Augmentation(0, 0, 0, 0, "random"), 0, 0, rows)
    flipped = maps[:, 0, 0] < 0
    assert 70 < flipped.sum() < 130
    x = faces(200)
    expected = torch.where(flipped[:, None, None, None], x.flip(3), x)
    torch.testing.assert_close(augment.warp(x, maps), expected)


def test_alternate_flips_show_a_face_both_ways_in_any_two_epochs():
    rows = torch.arange(50)
    how = Augmentation(0, 0, 0, 0, "alternate")
    first, second, third = (augment.affine(how, 0, epoch, rows)[:, 0, 0] for epoch in range(3))
    assert (first == -second).all()
    assert (first == third).all()
    assert 10 < (first > 0).sum() < 40


def test_a_quarter_turn_is_rot90():
    x = faces()
    quarter = theta([0, -1, 0], [1, 0, 0]).expand(4, 2, 3)
    torch.testing.assert_close(augment.warp(x, quarter), torch.rot90(x, 1, (2, 3)))


def test_a_shift_of_two_pixels_moves_by_two_pixels():
    x = faces()
    moved = augment.warp(x, theta([1, 0, 2 * 2 / 16], [0, 1, 0]).expand(4, 2, 3))
    torch.testing.assert_close(moved[..., :-2], x[..., 2:])
    torch.testing.assert_close(moved[..., -1], x[..., -1])  # the border repeats


def test_maps_are_rotation_shear_and_zoom_within_their_ranges():
    how = Augmentation(rotation=10, shift=0.1, zoom=0.2, shear=5, flip="none")
    maps = augment.affine(how, 3, 7, torch.arange(2000)).double().numpy()
    linear = maps[:, :, :2]
    scale = np.sqrt(np.linalg.det(linear))  # rotation and shear keep areas
    angle = np.degrees(np.arctan2(linear[:, 1, 0], linear[:, 0, 0]))
    cos_lean = np.einsum("ni,ni->n", linear[:, :, 0], linear[:, :, 1]) / scale**2  # = tan(shear)
    assert 9.5 < angle.max() <= 10.0001
    assert 0.195 < (1 / scale).max() - 1 <= 0.20001
    assert 4.5 < np.degrees(np.arctan(cos_lean)).max() <= 5.0001
    assert 0.19 < maps[:, :, 2].max() <= 0.20001  # normalised coordinates span 2


def test_what_happens_to_a_face_does_not_depend_on_its_batch():
    rows = torch.tensor([5, 900_000, 17, 3])
    how = Augmentation()
    together = augment.warp(faces(), augment.affine(how, 1, 2, rows))
    alone = torch.cat(
        [augment.warp(faces()[i : i + 1], augment.affine(how, 1, 2, rows[i : i + 1])) for i in range(4)]
    )
    assert torch.equal(together, alone)


def test_draws_are_uniform_and_differ_between_rows_epochs_seeds_and_columns():
    rows = torch.arange(20_000)
    draws = {key: augment.uniforms(*key, rows).numpy() for key in [(0, 0), (0, 1), (1, 0)]}
    first = draws[0, 0]
    counts = np.histogram(first, bins=20, range=(0, 1))[0]
    assert ((counts - 6000) ** 2 / 6000).sum() < 43.8  # chi-squared, 19 degrees of freedom, p = 0.001
    columns = np.concatenate([first, draws[0, 1], draws[1, 0], np.roll(first, 1, axis=0)], axis=1)
    correlation = np.corrcoef(columns.T) - np.eye(24)
    assert np.abs(correlation).max() < 4.5 / np.sqrt(20_000)


@pytest.mark.parametrize("seed", [0, 2**31, 12345])
def test_draws_are_the_published_hash(seed):
    def lowbias32(x):  # in Python's integers, as Wellons writes it in C
        x &= 0xFFFFFFFF
        x = ((x ^ (x >> 16)) * 0x7FEB352D) & 0xFFFFFFFF
        x = ((x ^ (x >> 15)) * 0x846CA68B) & 0xFFFFFFFF
        return x ^ (x >> 16)

    stream = lowbias32(lowbias32(seed) + 4)
    expected = (lowbias32(lowbias32(9 + stream) + 2 * 0x9E3779B9) >> 8) / 2**24
    assert augment.uniforms(seed, 4, torch.tensor([9]))[0, 2].item() == expected
