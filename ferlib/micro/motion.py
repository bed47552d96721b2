"""What moves in a clip: difference from the onset, optical flow, and movement made larger."""

from __future__ import annotations

import numpy as np

from ferlib.config import UsageError, check_name

MIDDLE = 128.0
"""Grey level that stands for no change."""
INPUTS: dict[str, str] = {
    "grey": "the frames as they are, as in the paper",
    "difference": "what changed since the onset, four times as strong, around middle grey",
    "flow": "how far each pixel moved up or down since the onset, around middle grey",
    "magnified": "the frames with what changed since the onset made four times as large",
    "still": "the onset in place of every frame: a control, in which nothing moves",
}
GAIN = 4.0
FLOW_GAIN = 40.0  # grey levels a pixel of movement


def as_input(frames: np.ndarray, kind: str = "grey") -> np.ndarray:
    """The clip ``frames`` (T, H, W) uint8 as one of ``INPUTS``, (T, H, W) uint8; frame 0 is the onset."""
    check_name("input", kind, INPUTS)
    if kind == "grey":
        return frames
    if kind == "magnified":
        return magnified(frames, GAIN - 1)
    if kind == "still":
        return np.repeat(frames[:1], len(frames), axis=0)
    change = GAIN * difference(frames) if kind == "difference" else FLOW_GAIN * flow(frames)[:, 1]
    return _grey(MIDDLE + change)


def _grey(levels: np.ndarray) -> np.ndarray:
    return np.clip(np.round(levels), 0, 255).astype(np.uint8)


def difference(frames: np.ndarray) -> np.ndarray:
    """(T, H, W) float32 grey levels: each frame less the first."""
    grey = frames.astype(np.float32)
    return grey - grey[:1]


def flow(frames: np.ndarray) -> np.ndarray:
    """Optical flow from the first frame to each: (T, H, W) uint8 -> (T, 2, H, W) float32 pixels, x and y.

    Dense inverse search (Kroeger et al. 2016) as in OpenCV, at its medium preset; the first is exactly 0.
    """
    search = _dis()
    made = np.zeros((len(frames), 2, *frames.shape[1:]), np.float32)
    first = np.ascontiguousarray(frames[0])
    for t in range(1, len(frames)):
        made[t] = search.calc(first, np.ascontiguousarray(frames[t]), None).transpose(2, 0, 1)
    return made


def _dis():
    import cv2

    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # faces are small: the preset would stop at half their size
    search.setPatchSize(8)
    search.setPatchStride(3)
    return search


def without_head(moved: np.ndarray) -> np.ndarray:
    """Flow (..., 2, H, W) less the affine movement that explains most of it: what a head does as a whole.

    Least squares of each component on 1, x and y.
    """
    height, width = moved.shape[-2:]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    basis = np.stack([np.ones_like(x), x, y]).reshape(3, -1)
    basis = (np.linalg.qr(basis.T)[0].T).astype(np.float32)  # (3, H W), orthonormal
    flat = moved.reshape(*moved.shape[:-2], -1)
    return (flat - (flat @ basis.T) @ basis).reshape(moved.shape)


def strain(moved: np.ndarray) -> np.ndarray:
    """Optical strain, how much the skin is stretched: flow (..., 2, H, W) -> (..., H, W), per pixel.

    ``sqrt(e_xx^2 + e_yy^2 + 2 e_xy^2)`` with ``e = (grad u + grad u^T) / 2`` (Shreve et al. 2009).
    """
    uy, ux = np.gradient(moved[..., 0, :, :], axis=(-2, -1))
    vy, vx = np.gradient(moved[..., 1, :, :], axis=(-2, -1))
    return np.sqrt(ux**2 + vy**2 + 0.5 * (uy + vx) ** 2)


def magnified(
    frames: np.ndarray, alpha: float, band_hz: tuple[float, float] | None = None, fps: float = 200.0
) -> np.ndarray:
    """Movement made about ``1 + alpha`` times as large: (T, H, W) uint8 -> (T, H, W) uint8.

    ``x + alpha * band(x)``: Eulerian magnification (Wu et al. 2012), with grey levels blurred a little before they
    are amplified.  band_hz : what is amplified, low to high; None, for clips too short to filter, takes all
    that differs from the first frame (linear magnification).  Holds while a movement times ``alpha`` stays
    below the width of the edge that moves.

    Raises ``UsageError`` for a band that is not 0 < low < high <= fps / 2.
    """
    from scipy.ndimage import gaussian_filter

    grey = frames.astype(np.float32)
    soft = gaussian_filter(grey, (0, 1, 1))
    if band_hz is None:
        return _grey(grey + alpha * (soft - soft[:1]))
    low, high = band_hz
    if not 0 < low < high <= fps / 2:
        raise UsageError(f"band_hz={band_hz}: needs 0 < low < high <= {fps / 2} at {fps} fps")
    hz = np.fft.rfftfreq(len(frames), 1 / fps)
    spectrum = np.fft.rfft(soft, axis=0)
    spectrum[(hz < low) | (hz > high)] = 0
    return _grey(grey + alpha * np.fft.irfft(spectrum, n=len(frames), axis=0))


def block_means(maps: np.ndarray, grid: int) -> np.ndarray:
    """Means over a grid of blocks: (..., H, W) -> (..., grid, grid); blocks differ by a pixel where H % grid."""
    rows = np.linspace(0, maps.shape[-2], grid + 1).astype(int)
    columns = np.linspace(0, maps.shape[-1], grid + 1).astype(int)
    sums = np.add.reduceat(np.add.reduceat(maps, rows[:-1], axis=-2), columns[:-1], axis=-1)
    return sums / np.outer(np.diff(rows), np.diff(columns))


def apex_features(frames: np.ndarray, apex: int, grid: int = 8) -> np.ndarray:
    """Optical flow from onset to apex, less the head's, as block means: (3 * grid * grid,) float32.

    Movement right, movement down and strain of each block, as in the apex-frame methods (Liong et al. 2018).
    """
    moved = without_head(flow(frames[[0, apex]])[1])
    maps = np.concatenate([moved, strain(moved)[None]])
    return block_means(maps, grid).reshape(-1).astype(np.float32)
