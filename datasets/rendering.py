"""From a scene to its frames, exact visible masks and their records in YTVIS format.

Each pixel is sampled at 4 x 4 points; a point shows the nearest layer that covers it. The shares of
the layers in a pixel blend their colours (smooth edges), and the mask owns the pixels of which the
object shows more than any other layer, so masks never overlap.
"""

from collections.abc import Iterator

from simplevtr.formats.rle import encode_mask, frame_lists, run_lengths

import cv2
import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask
from scenes import CAMERA_REACH, EXTENT, Bar, Scene, Track, contains, shading

SAMPLES = 4  # sample points along a side of a pixel
POLYGON_MIN_IOU = 0.92  # a polygon that keeps less of its mask is not used
_POLYGON_MIN_AREA = 12  # pixels; a smaller polygon is not used either
_POLYGON_TOLERANCE = 0.4  # how far, in pixels, a simplified outline may leave the mask's
Window = tuple[slice, slice]  # rows and columns


def layer_shares(scene: Scene) -> np.ndarray:
    """(T, L + 1, H, W) uint8: at how many of a pixel's ``SAMPLES ** 2`` points each layer shows.

    Entry 0 of the second axis is the background, entry i the scene's layer i - 1.
    """
    size = (scene.height, scene.width)
    shares = np.zeros((scene.length, len(scene.layers) + 1, *size), np.uint8)
    for t, share in enumerate(shares):
        owner = np.zeros([side * SAMPLES for side in size], np.uint8)
        for i, layer, window in _visible_layers(scene, t):
            x, y = _own_coordinates(scene, layer, t, window, SAMPLES)
            covers = abs(y) < 1 if isinstance(layer, Bar) else contains(layer.shape, x, y)
            owner[tuple(slice(s.start * SAMPLES, s.stop * SAMPLES) for s in window)][covers] = i
        for i in range(len(share)):  # the mean of a pixel's points, times how many there are
            points = (owner == i) * np.uint8(SAMPLES**2)
            share[i] = cv2.resize(points, size[::-1], interpolation=cv2.INTER_AREA)
    return shares


def visible_masks(scene: Scene, shares: np.ndarray, least: int) -> np.ndarray:
    """(G, T, H, W) bool masks of ``scene.tracks`` from ``layer_shares``.

    They are empty where fewer than ``least`` pixels are left.
    """
    owner = shares.argmax(axis=1)
    numbers = [i for i, layer in enumerate(scene.layers, start=1) if isinstance(layer, Track)]
    masks = np.stack([owner == i for i in numbers])
    masks &= (masks.sum(axis=(2, 3)) >= least)[..., None, None]
    return masks


def paint(scene: Scene, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(T, H, W, 3) uint8 RGB frames from ``layer_shares``; background and noise vary."""
    canvas = _background(rng, scene)
    noise = rng.uniform(0.5, 2.0)
    glow = 1 + rng.uniform(0, 0.08) * np.sin(
        rng.uniform(0, 2 * np.pi) + rng.uniform(0.05, 0.3) * np.arange(scene.length)
    )
    frames = np.empty((scene.length, scene.height, scene.width, 3), np.uint8)
    for t in range(scene.length):
        background = _seen_by_camera(canvas, scene, t)
        picture = background * (shares[t, 0, :, :, None] / SAMPLES**2)
        for i, layer, window in _visible_layers(scene, t):
            if isinstance(layer, Bar):
                # The picture upside down: the background's colours, but no continuation of it.
                colours = background[::-1] * layer.brightness
            else:
                x, y = _own_coordinates(scene, layer, t, window, samples=1)
                colours = layer.colour * shading(x, y, **layer.surface)[..., None]
            picture[window] += colours * (shares[t, i][window][..., None] / SAMPLES**2)
        picture = picture * glow[t] + rng.normal(0, noise, picture.shape)
        frames[t] = np.clip(np.rint(picture), 0, 255)
    return frames


def _visible_layers(scene: Scene, t: int) -> Iterator[tuple[int, Track | Bar, Window]]:
    """Numbers from 1, layers, and rows and columns outside which they cannot be seen."""
    for i, layer in enumerate(scene.layers, start=1):
        if isinstance(layer, Bar):
            yield i, layer, (slice(0, scene.height), slice(0, scene.width))
        elif layer.shown[t]:
            reach = EXTENT * layer.radii[t]
            low = np.floor(layer.centres[t] - reach).astype(int).clip(0)
            high = np.ceil(layer.centres[t] + reach).astype(int)
            high = np.minimum(high, (scene.width, scene.height))
            if (low < high).all():
                yield i, layer, (slice(low[1], high[1]), slice(low[0], high[0]))


def _own_coordinates(
    scene: Scene, layer: Track | Bar, t: int, window: Window, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a window's sample points in the layer's coordinates.

    A track's unit is its radius. A bar's x runs along its axis and its y across, in half widths.
    """
    if isinstance(layer, Bar):
        centre, angle, size = layer.centre + scene.camera[t], layer.angle, layer.half_width
    else:
        centre, angle, size = layer.centres[t], layer.angles[t], layer.radii[t]
    y, x = (
        (np.arange(side.start * samples, side.stop * samples) + 0.5) / samples - middle
        for side, middle in zip(window, centre[::-1], strict=True)
    )
    cos, sin = np.cos(angle) / size, np.sin(angle) / size
    return x * cos + y[:, None] * sin, y[:, None] * cos - x * sin


def _background(rng: np.random.Generator, scene: Scene) -> np.ndarray:
    """A still picture wider than the frame by the camera's reach on each side, float64 RGB.

    A gradient between two pale or dark colours, clouds, sometimes stripes, and grain.
    """
    margin = _margin(scene)
    height, width = scene.height + 2 * margin, scene.width + 2 * margin
    grey = rng.uniform(55, 170)
    ends = grey + rng.uniform(-35, 35, (2, 1)) + rng.uniform(-16, 16, (2, 3))
    across = _ramp(rng, height, width)
    picture = ends[0] + (ends[1] - ends[0]) * across[..., None]
    for cell in (30, 12, 5):
        cloud = _cloud(rng, height, width, cell * scene.unit)
        picture += cloud[..., None] * rng.uniform(2, 16) * rng.uniform(0.6, 1.0, 3)
    if rng.random() < 0.3:
        period = rng.uniform(7, 20) * scene.unit / (height + width)
        stripes = np.where(_ramp(rng, height, width) / period % 1 < 0.5, 1, -1)
        picture += stripes[..., None] * rng.uniform(3, 10)
    picture += rng.normal(0, rng.uniform(0.5, 4), (height, width, 1))
    return picture


def _margin(scene: Scene) -> int:
    return int(np.ceil(CAMERA_REACH * scene.unit)) + 2


def _ramp(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(height, width) linear ramp in a random direction, 0.5 in the middle, within [0, 1]."""
    angle = rng.uniform(0, 2 * np.pi)
    x = (np.arange(width) - width / 2) * np.cos(angle)
    y = (np.arange(height) - height / 2) * np.sin(angle)
    return 0.5 + (x + y[:, None]) / (height + width)


def _cloud(rng: np.random.Generator, height: int, width: int, cell: float) -> np.ndarray:
    """(height, width) smooth noise in [-1, 1] whose blobs are about ``cell`` pixels wide."""
    grid = tuple(int(np.ceil(side / cell)) + 1 for side in (height, width))
    coarse = Image.fromarray(rng.integers(0, 256, grid, dtype=np.uint8))
    return np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 127.5 - 1


def _seen_by_camera(canvas: np.ndarray, scene: Scene, t: int) -> np.ndarray:
    """(H, W, 3) part of the background in frame ``t``, shifted by fractions of a pixel."""
    start = _margin(scene) - scene.camera[t]
    left, top = np.floor(start).astype(int)
    fx, fy = start - np.floor(start)
    part = canvas[top : top + scene.height + 1, left : left + scene.width + 1]
    rows = part[:-1] * (1 - fy) + part[1:] * fy
    return rows[:, :-1] * (1 - fx) + rows[:, 1:] * fx


def annotation_record(masks: np.ndarray, *, category_id: int, encoding: str) -> dict:
    """The annotation of one track, ready for JSON, without ``id`` and ``video_id``.

    ``masks`` are (T, H, W) bool, empty where the object is absent; ``encoding`` is "compressed",
    "uncompressed" or "polygons". With the last, the polygons are the truth: boxes and areas follow
    them. A track that they cannot follow (a ring's hole, or very few pixels) becomes compressed.
    """
    length, height, width = masks.shape
    coded = [encode_mask(mask) if mask.any() else None for mask in masks]
    segmentations = None
    if encoding == "uncompressed":
        size = [height, width]
        segmentations = [code and {"size": size, "counts": run_lengths(code)} for code in coded]
    elif encoding == "polygons":
        drawn = [
            _polygons(mask, code) if code else (None, None)
            for mask, code in zip(masks, coded, strict=True)
        ]
        if all(drawn):
            segmentations, coded = zip(*drawn, strict=True)
    lists = frame_lists(coded)
    lists["segmentations"] = segmentations or lists["segmentations"]
    record = {"category_id": category_id, "iscrowd": 0}
    return record | {"height": height, "width": width, "length": length} | lists


def _polygons(mask: np.ndarray, coded: dict) -> tuple[list, dict] | None:
    """Outlines [[x, y, x, y, ...], ...] in pixels and their coded mask; None if it is poor."""
    fine = np.kron(mask.astype(np.uint8), np.ones((4, 4), np.uint8))
    contours, _ = cv2.findContours(fine, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    smooth = [cv2.approxPolyDP(c, 4 * _POLYGON_TOLERANCE, True).reshape(-1, 2) for c in contours]
    outlines = [((c + 0.5) / 4).ravel().tolist() for c in smooth if len(c) >= 3]
    if not outlines:
        return None
    drawn = coco_mask.merge(coco_mask.frPyObjects(outlines, *mask.shape))
    close = coco_mask.iou([drawn], [coded], [0])[0, 0] >= POLYGON_MIN_IOU
    return (outlines, drawn) if close and coco_mask.area(drawn) >= _POLYGON_MIN_AREA else None
