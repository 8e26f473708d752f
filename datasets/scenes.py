"""Random plans of the embedded dataset's videos: what moves where, and what hides what.

All lengths are pixels of the finished picture, x to the right and y down; angles are radians.
Lengths grow with a video's unit, sqrt(height * width / (64 * 96)), so that objects fill the same
share of a frame whatever its size.

The outline of a category is a test on points in the object's own coordinates: the origin is its
centre, and a radius of 1 is its nominal size. No outline reaches further than ``EXTENT``.
"""

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

SHAPES = ("disk", "square", "triangle", "star", "cross", "ring")
EXTENT = 1.2
HUE_BAND = 0.035  # half width of a category's hue band, in turns; the bands' centres lie 1/6 apart

SPLITS = ("train", "val", "long")
VARIANTS = ("easy", "hard", "small")
# Least and greatest nominal radius of an object, in units. What is drawn is 0.85 to 1.2 times as
# large: boxes of "small" objects have a longer side of about 4 to 10 units.
_RADII = {"easy": (7.5, 14.5), "hard": (7.5, 14.5), "small": (3.3, 3.9)}
# An object with fewer pixels in a frame counts as absent from it.
MIN_VISIBLE_PIXELS = {"easy": 12, "hard": 12, "small": 4}
_FRAME_SIZES = ((64, 96), (64, 64), (96, 64), (72, 108))  # height, width
_FRAME_SIZE_SHARES = (0.7, 0.1, 0.1, 0.1)
CAMERA_REACH = 14.0  # the camera's furthest drift from its start along an axis, in units


@dataclass(frozen=True)
class SplitStyle:
    """How eventful the videos of a split are."""

    object_shares: tuple[float, ...]  # probability of 1, 2, ... objects in a video
    bar_shares: tuple[float, ...]  # of 0, 1, ... bars, which hide objects and are not annotated
    bar_half_widths: tuple[float, float]  # least and greatest half width of a bar, in units
    frames_a_waypoint: int  # from one random position of an object to the next
    outside_share: float  # probability that an inner waypoint lies outside the frame
    hidden_share: float  # probability that an object is switched off for a while


_SHORT = SplitStyle((0.35, 0.4, 0.25), (0.72, 0.2, 0.08), (2.5, 5.5), 5, 0.06, 0.12)
_LONG = SplitStyle((0.0, 0.0, 0.2, 0.3, 0.5), (0.1, 0.5, 0.4), (4.0, 9.0), 9, 0.25, 0.4)
STYLES = {"train": _SHORT, "val": _SHORT, "long": _LONG}


@dataclass(frozen=True)
class Bar:
    """A strip across the whole frame that hides what lies behind it and moves with the camera."""

    centre: np.ndarray  # (2,) x and y of a point on its axis in the first frame
    angle: float  # direction of the axis
    half_width: float
    brightness: float  # factor on the background picture it is cut from


@dataclass(frozen=True)
class Track:
    """One annotated object and its path over T frames."""

    shape: str  # its category, one of SHAPES
    colour: np.ndarray  # (3,) RGB in [0, 255]
    surface: dict  # keyword arguments of ``shading``
    centres: np.ndarray  # (T, 2) x and y
    radii: np.ndarray  # (T,) nominal radius
    angles: np.ndarray  # (T,) rotation
    shown: np.ndarray  # (T,) bool, False where the object is switched off


@dataclass(frozen=True)
class Scene:
    """A video before it is drawn."""

    height: int
    width: int
    length: int  # T, number of frames
    unit: float  # length unit in pixels
    camera: np.ndarray  # (T, 2) offset of the background and the bars, zero in the first frame
    layers: tuple[Track | Bar, ...]  # the furthest first

    @property
    def tracks(self) -> list[Track]:
        """The annotated objects, the furthest first."""
        return [layer for layer in self.layers if isinstance(layer, Track)]


def generator(seed: int, variant: str, split: str, *key: int) -> np.random.Generator:
    """The random generator of one thing in a dataset, independent of every other key's."""
    place = (VARIANTS.index(variant), SPLITS.index(split), *key)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=place))


def category_of(seed: int, variant: str, split: str, video: int, slot: int) -> str:
    """The category of a video's object number ``slot``.

    In six videos in a row each category comes once in each slot, which keeps categories balanced
    although no video depends on another one.
    """
    block, place = divmod(video, len(SHAPES))
    return SHAPES[generator(seed, variant, split, 1, block, slot).permutation(len(SHAPES))[place]]


def draw_scene(
    rng: np.random.Generator, split: str, categories: Sequence[str], *, variant: str, scale: float
) -> Scene:
    """A random scene of one of ``SPLITS`` and ``VARIANTS``, whose objects need not be visible.

    Of ``categories``, as many as such a video can have objects, the first ones are used; but in
    "hard" colours follow them. ``scale`` is a factor on the frame size.
    """
    style = STYLES[split]
    base = _FRAME_SIZES[rng.choice(len(_FRAME_SIZES), p=_FRAME_SIZE_SHARES)]
    height, width = (round(side * scale) for side in base)
    unit = (height * width / (64 * 96)) ** 0.5
    low, high = 40, 201
    if split != "long":
        low, high = ((10, 17), (5, 10), (17, 25))[rng.choice(3, p=(0.9, 0.05, 0.05))]
    length = int(rng.integers(low, high))
    count = 1 + rng.choice(len(style.object_shares), p=style.object_shares)
    size = np.array((width, height), float)
    layers: list[Track | Bar] = [
        _draw_track(rng, style, size, unit, length, shape, variant) for shape in categories[:count]
    ]
    layers = [layers[i] for i in rng.permutation(len(layers))]
    for _ in range(rng.choice(len(style.bar_shares), p=style.bar_shares)):
        layers.insert(rng.integers(1, len(layers) + 1), _draw_bar(rng, style, size, unit))
    reach = 0.5 * CAMERA_REACH * unit
    steps = 2 + length // 8
    camera = _smooth_path(_wander(rng, steps, -reach, reach, reach * np.ones(2)), length)
    camera = np.clip(camera - camera[0], -CAMERA_REACH * unit, CAMERA_REACH * unit)
    return Scene(height, width, length, unit, camera, tuple(layers))


def _draw_bar(rng: np.random.Generator, style: SplitStyle, size: np.ndarray, unit: float) -> Bar:
    upright = rng.random() < 0.7
    return Bar(
        centre=rng.uniform(0.15, 0.85, 2) * size,
        angle=(np.pi / 2 if upright else 0) + rng.uniform(-0.35, 0.35),
        half_width=unit * rng.uniform(*style.bar_half_widths),
        brightness=rng.choice((0.75, 1.3)) * rng.uniform(0.92, 1.08),
    )


def _draw_track(
    rng: np.random.Generator,
    style: SplitStyle,
    size: np.ndarray,
    unit: float,
    length: int,
    shape: str,
    variant: str,
) -> Track:
    radius = unit * rng.uniform(*_RADII[variant])
    count = max(3, 1 + round(length / style.frames_a_waypoint))
    growth = _smooth_path(_wander(rng, count, 0.85, 1.2, 0.2 * np.ones(1)), length)[:, 0]
    turn = _smooth_path(_wander(rng, count, -9.0, 9.0, 0.5 * np.ones(1)), length)[:, 0]
    return Track(
        shape=shape,
        colour=draw_colour(rng, shape, by_category=variant != "hard"),
        surface={
            "slope": rng.uniform(-0.18, 0.18),
            "stripes": rng.uniform(0, 0.1),
            "period": rng.uniform(0.5, 1.2),
        },
        centres=_smooth_path(_draw_waypoints(rng, style, size, radius, count), length),
        radii=radius * growth,
        angles=turn + rng.uniform(0, 2 * np.pi),
        shown=_draw_shown(rng, style, length),
    )


def _draw_waypoints(
    rng: np.random.Generator, style: SplitStyle, size: np.ndarray, radius: float, count: int
) -> np.ndarray:
    """(count, 2) centres, some of which may lie outside the frame of ``size`` (width, height)."""
    inset = np.minimum(0.8 * radius, 0.3 * size)
    points = _wander(rng, count, inset, size - inset, 0.3 * size)
    outside = rng.random(count) < style.outside_share
    outside[0] = rng.random() < 0.2
    outside[-1] = rng.random() < 0.2
    if outside.all():
        outside[rng.integers(count)] = False
    beyond = 1.1 * EXTENT * radius  # from the frame's nearest edge
    for i in np.flatnonzero(outside):
        gaps = np.concatenate([points[i], size - points[i]])
        side, axis = divmod(int(gaps.argmin()), 2)
        points[i, axis] = size[axis] + beyond if side else -beyond
    return points


def _draw_shown(rng: np.random.Generator, style: SplitStyle, length: int) -> np.ndarray:
    shown = np.ones(length, bool)
    if rng.random() < style.hidden_share:
        gap = int(rng.integers(2, max(3, min(length // 2, 30))))
        start = int(rng.integers(0, length - gap + 1))
        shown[start : start + gap] = False
    return shown


def _wander(
    rng: np.random.Generator,
    count: int,
    low: np.ndarray | float,
    high: np.ndarray | float,
    step: np.ndarray,
) -> np.ndarray:
    """(count, D) random walk between ``low`` and ``high`` with steps of at most ``step`` (D,)."""
    points = np.empty((count, len(step)))
    points[0] = rng.uniform(low, high, len(step))
    for i in range(1, count):
        points[i] = np.clip(points[i - 1] + step * rng.uniform(-1, 1, len(step)), low, high)
    return points


def _smooth_path(points: np.ndarray, length: int) -> np.ndarray:
    """(length, D) samples of the Catmull-Rom curve through (N, D) points, N >= 2."""
    last = len(points) - 1
    before, after = 2 * points[0] - points[1], 2 * points[-1] - points[-2]
    padded = np.concatenate([before[None], points, after[None]])
    times = np.linspace(0, last, length)
    i = np.minimum(times.astype(int), last - 1)
    f = (times - i)[:, None]
    a, b, c, d = (padded[i + k] for k in range(4))
    return b + 0.5 * f * (c - a + f * (2 * a - 5 * b + 4 * c - d + f * (3 * (b - c) + d - a)))


def contains(shape: str, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which points lie in one of ``SHAPES``, bool; ValueError for an unknown one.

    ``x`` and ``y`` are float arrays of one shape, in the object's own coordinates.
    """
    squared = x * x + y * y
    near, far = np.minimum(np.abs(x), np.abs(y)), np.maximum(np.abs(x), np.abs(y))
    # Sizes are chosen so that the shapes look about equally large.
    if shape == "disk":
        return squared < 0.92**2
    if shape == "ring":
        return (squared > 0.5**2) & (squared < 1)
    if shape == "square":
        return far < 0.78
    if shape == "cross":
        return (near < 0.34) & (far < 1)
    if shape == "triangle":
        return _half_planes(x, y, sides=3, distance=1.15 / 2) == 3
    if shape == "star":
        # A pentagram with its inner pentagon: each tip crosses exactly one of the five lines.
        return _half_planes(x, y, sides=5, distance=EXTENT * np.cos(0.4 * np.pi)) >= 4
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
