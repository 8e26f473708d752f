"""The six categories of the embedded dataset: their outlines and their colours.

An outline is a test on points in the object's own coordinates: the origin is its centre, and a
radius of 1 is its nominal size. No outline reaches further than ``EXTENT`` from the origin.
"""

from __future__ import annotations

import colorsys

import numpy as np

SHAPES = ("disk", "square", "triangle", "star", "cross", "ring")
EXTENT = 1.2
HUE_BAND = 0.035  # half width of a category's hue band, in turns; the bands' centres lie 1/6 apart

# Sizes are chosen so that the shapes look about equally large.
_DISK_RADIUS, _RING_RADII = 0.92, (0.5, 1.0)
_SQUARE_HALF_SIDE = 0.78
_TRIANGLE_RADIUS, _STAR_RADIUS = 1.15, EXTENT
_CROSS_HALF_LENGTH, _CROSS_HALF_WIDTH = 1.0, 0.34


def contains(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie in one of ``SHAPES``, bool.

    ``x`` and ``y`` are float arrays of one shape, in the object's own coordinates.

    Raises:
        ValueError: the shape's name is unknown.
    """
    squared = x * x + y * y
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    if shape == "disk":
        return squared < _DISK_RADIUS**2
    if shape == "ring":
        return (squared > _RING_RADII[0] ** 2) & (squared < _RING_RADII[1] ** 2)
    if shape == "square":
        return far < _SQUARE_HALF_SIDE
    if shape == "cross":
        return (near < _CROSS_HALF_WIDTH) & (far < _CROSS_HALF_LENGTH)
    if shape == "triangle":
        return _half_planes(x, y, sides=3, distance=_TRIANGLE_RADIUS / 2) == 3
    if shape == "star":
        # A pentagram with its inner pentagon: each tip crosses exactly one of the five lines.
        return _half_planes(x, y, sides=5, distance=_STAR_RADIUS * np.cos(0.4 * np.pi)) >= 4
    raise ValueError(f"unknown shape {shape!r}; known: {', '.join(SHAPES)}")


def _half_planes(x: np.ndarray, y: np.ndarray, *, sides: int, distance: float) -> np.ndarray:
    """Of how many among ``sides`` evenly turned lines at ``distance`` a point is on the inside."""
    count = np.zeros(x.shape, np.int8)
    for angle in 2 * np.pi * np.arange(sides) / sides:
        count += np.cos(angle) * x + np.sin(angle) * y < distance
    return count


def draw_colour(rng: np.random.Generator, shape: str, *, by_category: bool) -> np.ndarray:
    """A random vivid colour for one of ``SHAPES``: (3,) float64, RGB in [0, 255].

    ``by_category`` takes the hue from the category's band, otherwise from the whole circle.
    """
    offset = rng.uniform(-1, 1)
    band = SHAPES.index(shape) / len(SHAPES) + HUE_BAND * offset
    hue = band if by_category else 0.5 * (offset + 1)
    saturation, value = rng.uniform(0.6, 1.0), rng.uniform(0.55, 0.95)
    return 255 * np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value))


def shading(
    x: np.ndarray, y: np.ndarray, *, slope: float, stripes: float, period: float
) -> np.ndarray:
    """Brightness factors, around 1, of a surface that turns and grows with its object.

    ``x`` and ``y`` are float arrays of one shape, in the object's own coordinates; ``slope`` is the
    change per unit of x, ``stripes`` half the step between stripes across y, and ``period`` the
    width of a pair of stripes.
    """
    return 1 + slope * x + stripes * np.where(np.floor(2 * y / period) % 2 == 0, 1, -1)
