"""Images of other sizes, and samples of an image at given places."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .arrays import empty_in_order, is_floating, widened
from .convolution import is_channels_last
from .registry import operator

#: The cubic's parameter in ATen, a in Keys 1981, "Cubic convolution interpolation".
_CUBIC = -0.75

#: Positions and weights that a result is a sum of, along one dimension.
Taps = list[tuple[np.ndarray, np.ndarray | None]]


def _sizes(
    x: np.ndarray, output_size: Sequence[int] | None, factors: Sequence[float] | None
) -> list[int]:
    if output_size is not None:
        return list(output_size)
    return [int(n * f) for n, f in zip(x.shape[2:], factors or (), strict=True)]


def _scale(size: int, wanted: int, factor: float | None, align_corners: bool) -> float:
    """How many elements of the source one of the result is."""
    if align_corners:
        return (size - 1) / (wanted - 1) if wanted > 1 else 0.0
    return 1 / factor if factor else size / wanted if wanted else 0.0


def _nearest(size: int, wanted: int, factor: float | None, align_corners: bool) -> Taps:
    scale = np.float32(_scale(size, wanted, factor, False))
    at = np.floor(np.arange(wanted, dtype=np.float32) * scale).astype(np.int64)
    return [(np.minimum(at, size - 1), None)]


def _places(size: int, wanted: int, factor: float | None, align_corners: bool) -> np.ndarray:
    scale, at = _scale(size, wanted, factor, align_corners), np.arange(wanted)
    return at * scale if align_corners else (at + 0.5) * scale - 0.5


def _linear(size: int, wanted: int, factor: float | None, align_corners: bool) -> Taps:
    place = np.maximum(_places(size, wanted, factor, align_corners), 0)
    low = np.minimum(np.floor(place).astype(np.int64), size - 1)
    rest = np.clip(place - low, 0, 1)
    return [(low, 1 - rest), (np.minimum(low + 1, size - 1), rest)]


def _cubic(size: int, wanted: int, factor: float | None, align_corners: bool) -> Taps:
    place = _places(size, wanted, factor, align_corners)
    low = np.floor(place).astype(np.int64)
    weights = _cubic_weights(place - low)
    return [(np.clip(low + n - 1, 0, size - 1), w) for n, w in enumerate(weights)]


def _cubic_weights(t: np.ndarray) -> list[np.ndarray]:
    """Weights of the four neighbours of a place `t` behind the second."""

    def near(x: np.ndarray) -> np.ndarray:
        return ((_CUBIC + 2) * x - (_CUBIC + 3)) * x * x + 1

    def far(x: np.ndarray) -> np.ndarray:
        return ((_CUBIC * x - 5 * _CUBIC) * x + 8 * _CUBIC) * x - 4 * _CUBIC

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _resample(
    self: np.ndarray, sizes: Sequence[int], factors: Sequence[float | None],
    align_corners: bool, taps_of: Callable[..., Taps],
) -> np.ndarray:  # fmt: skip
    """Along one dimension after the other."""
    if taps_of is not _nearest and not is_floating(self.dtype):
        raise TypeError(f"Between elements there are floats: convert {self.dtype.name} to one.")
    made = widened(self)
    for axis, (wanted, factor) in enumerate(zip(sizes, factors, strict=True), 2):
        taps = taps_of(self.shape[axis], wanted, factor, align_corners)
        shape = [1] * made.ndim
        shape[axis] = wanted
        parts = [
            made.take(at, axis) if w is None
            else made.take(at, axis) * w.astype(made.dtype).reshape(shape)
            for at, w in taps
        ]  # fmt: skip
        made = sum(parts[1:], parts[0])
    order = (0, *range(2, self.ndim), 1) if is_channels_last(self) else None
    result = empty_in_order(made.shape, self.dtype, order)
    result[...] = made
    return result


@operator("upsample_nearest2d")
def upsample_nearest2d(
    self: np.ndarray, output_size: Sequence[int], scales_h: float | None = None,
    scales_w: float | None = None,
) -> np.ndarray:  # fmt: skip
    """(batch, channels, height, width) in another size: the nearest element."""
    return _resample(self, output_size, (scales_h, scales_w), False, _nearest)


@operator("upsample_nearest2d.vec")
def upsample_nearest2d_by(
    input: np.ndarray, output_size: Sequence[int] | None, scale_factors: Sequence[float] | None
) -> np.ndarray:
    """`upsample_nearest2d` to a size or by factors."""
    sizes = _sizes(input, output_size, scale_factors)
    return _resample(input, sizes, scale_factors or (None, None), False, _nearest)


@operator("upsample_bilinear2d")
def upsample_bilinear2d(
    self: np.ndarray, output_size: Sequence[int], align_corners: bool,
    scales_h: float | None = None, scales_w: float | None = None,
) -> np.ndarray:  # fmt: skip
    """(batch, channels, height, width) in another size: between two and two elements."""
    return _resample(self, output_size, (scales_h, scales_w), align_corners, _linear)


@operator("upsample_bilinear2d.vec")
def upsample_bilinear2d_by(
    input: np.ndarray, output_size: Sequence[int] | None, align_corners: bool,
    scale_factors: Sequence[float] | None,
) -> np.ndarray:  # fmt: skip
    """`upsample_bilinear2d` to a size or by factors."""
    sizes = _sizes(input, output_size, scale_factors)
    return _resample(input, sizes, scale_factors or (None, None), align_corners, _linear)


@operator("upsample_bicubic2d")
def upsample_bicubic2d(
    self: np.ndarray, output_size: Sequence[int], align_corners: bool,
    scales_h: float | None = None, scales_w: float | None = None,
) -> np.ndarray:  # fmt: skip
    """(batch, channels, height, width) in another size: cubics through four and four elements."""
    return _resample(self, output_size, (scales_h, scales_w), align_corners, _cubic)


@operator("upsample_bicubic2d.vec")
def upsample_bicubic2d_by(
    input: np.ndarray, output_size: Sequence[int] | None, align_corners: bool,
    scale_factors: Sequence[float] | None,
) -> np.ndarray:  # fmt: skip
    """`upsample_bicubic2d` to a size or by factors."""
    sizes = _sizes(input, output_size, scale_factors)
    return _resample(input, sizes, scale_factors or (None, None), align_corners, _cubic)


# Samples at given places

_ZEROS, _BORDER, _REFLECTION = 0, 1, 2
_BILINEAR, _NEAREST, _BICUBIC = 0, 1, 2


@operator("grid_sampler_2d")
def grid_sampler_2d(
    input: np.ndarray, grid: np.ndarray, interpolation_mode: int, padding_mode: int,
    align_corners: bool,
) -> np.ndarray:  # fmt: skip
    """Samples of input (batch, channels, height, width) at grid (batch, rows, columns, 2).

    A place is x and y from -1 to 1; the modes are numbered as torch's functions number them:
    bilinear, nearest, bicubic; zeros, border, reflection.
    """
    x, places = widened(input), widened(grid)
    sizes = (x.shape[3], x.shape[2])
    at = [_unnormalized(places[..., n], sizes[n], align_corners) for n in range(2)]
    if interpolation_mode != _BICUBIC:
        at = [
            _padded_place(p, n, padding_mode, align_corners) for p, n in zip(at, sizes, strict=True)
        ]
    taps = [_grid_taps(p, interpolation_mode) for p in at]
    made = np.zeros((*x.shape[:2], *grid.shape[1:3]), x.dtype)
    for column, wx in taps[0]:
        for row, wy in taps[1]:
            spots = [column, row]
            if interpolation_mode == _BICUBIC:
                spots = [
                    _padded_place(p, n, padding_mode, align_corners)
                    for p, n in zip(spots, sizes, strict=True)
                ]
            made += _read(x, spots[1], spots[0]) * (wx * wy)[:, None].astype(x.dtype)
    return made.astype(input.dtype, copy=False)


def _unnormalized(place: np.ndarray, size: int, align_corners: bool) -> np.ndarray:
    if align_corners:
        return (place + 1) / 2 * (size - 1)
    return ((place + 1) * size - 1) / 2


def _padded_place(place: np.ndarray, size: int, mode: int, align_corners: bool) -> np.ndarray:
    if mode == _ZEROS:
        return place
    if mode == _REFLECTION:
        low, span = (0.0, size - 1.0) if align_corners else (-0.5, float(size))
        if span <= 0:
            return np.zeros_like(place)
        with np.errstate(invalid="ignore"):
            away = np.abs(place - low) % (2 * span)
        place = np.where(away < span, away, 2 * span - away) + low
    place = np.where(np.isfinite(place), place, -1)
    return np.clip(place, 0, size - 1).astype(place.dtype)


def _grid_taps(place: np.ndarray, mode: int) -> list[tuple[np.ndarray, np.ndarray]]:
    if mode == _NEAREST:
        return [(np.rint(place), np.ones_like(place))]
    low = np.floor(place)
    rest = place - low
    if mode == _BILINEAR:
        return [(low, 1 - rest), (low + 1, rest)]
    return [(low + n - 1, w) for n, w in enumerate(_cubic_weights(rest))]


def _read(x: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """x at whole places, 0 where they are outside: (batch, channels, rows, columns)."""
    height, width = x.shape[2:]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = (np.where(inside, p, 0).astype(np.int64) for p in (row, column))
    batch = np.arange(len(x))[:, None, None]
    found = x[batch, :, row, column]  # (batch, rows, columns, channels)
    return np.moveaxis(np.where(inside[..., None], found, 0), -1, 1)
