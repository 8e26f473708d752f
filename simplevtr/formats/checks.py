"""The rules that every reader of annotation and result files keeps, with one wording of errors.

The checks raise ``ValueError`` with the value and what is allowed; ``entries`` puts the file and
the place in its list before the message.
"""

import math
import re
import reprlib
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any, TypeVar

Item = TypeVar("Item")

_MOST = 2**63 - 1  # ids and counts fit signed integers of 64 bits
_SHOWN = 10  # ids and names listed in an error message
# A value of a file in a message: short, and not so deep that nested lists can overflow the stack.
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxlevel = 3
shown = _SHORT.repr


def check_lists(content: Any, source: str, *, empty: bool = False) -> None:
    """ValueError unless it is an object with an annotation file's lists; entries are not looked at.

    ``annotations`` may be null or missing; ``empty`` lets ``videos`` and ``categories`` be so.
    """
    if not isinstance(content, dict):
        needed = "an object with 'videos', 'categories' and 'annotations' is needed"
        raise ValueError(f"{source}: holds a {type(content).__name__}; {needed}")
    if _holds_frames_as_images(content):
        raise ValueError(
            f"{source}: is a COCO file whose images are frames of videos; to make a YouTube-VIS "
            "file of it: python tools/import_dataset.py coco-tracks FILE --output NEW.json"
        )
    for key in ("videos", "categories"):
        if not isinstance(content.get(key), list):
            hint = "; is it a COCO file of single images?" if "images" in content else ""
            found = shown([*content])
            raise ValueError(f"{source}: has no list {key!r}, only {found}{hint}")
        if not content[key] and not empty:
            raise ValueError(f"{source}: is empty, {key!r} has no entry")
    if not isinstance(content.get("annotations"), list | None):
        kind = type(content["annotations"]).__name__
        raise ValueError(f"{source}: 'annotations' is a {kind}; a list, null or nothing is allowed")


def _holds_frames_as_images(content: dict[str, Any]) -> bool:
    """Whether it has the form of MMTracking's CocoVID, in which images name their videos."""
    images, videos = (
        [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
        for value in (content.get("images"), content.get("videos"))
    )
    named = any("file_names" in video for video in videos)
    return not named and any("video_id" in image for image in images)


def entries(
    values: Iterable[Any],
    source: object,
    key: str,
    parse: Callable[[dict[str, Any]], Item],
    *,
    unique: Sequence[str] = (),
) -> list[Item]:
    """Parse each object of the list that the file ``source`` calls ``key``.

    ``parse`` makes an item of an object, or raises ValueError. ``unique`` names attributes of which
    no two items may have the same value. ValueError if an entry is not an object, cannot be parsed,
    or shares what is unique; the message begins with ``source: key[index]``.
    """
    parsed: list[Item] = []
    first: dict[str, dict[Any, int]] = {name: {} for name in unique}
    for index, value in enumerate(values):
        try:
            if not isinstance(value, dict):
                raise ValueError(f"must be an object, got {type(value).__name__}")
            item = parse(value)
            for name, places in first.items():
                own = getattr(item, name)
                if (place := places.setdefault(own, index)) != index:
                    raise ValueError(f"{name} {shown(own)} is used by {key}[{place}] already")
        except ValueError as error:
            raise ValueError(f"{source}: {key}[{index}]: {error}") from error
        parsed.append(item)
    return parsed


def integer(entry: dict[str, Any], key: str, *, least: int = 0, most: int = _MOST) -> int:
    """The integer (a bool is not one) from ``least`` to ``most`` under ``key``."""
    value = entry.get(key)
    if type(value) is not int or not least <= value <= most:
        limit = f", at most {most}" if type(value) is int and value > most else ""
        raise ValueError(f"{key} must be an integer of {least} or more{limit}, {_got(entry, key)}")
    return value


def whole_number(entry: Mapping[str, Any], key: str) -> int:
    """``integer`` of text under ``key`` that consists of digits, as files without types have it."""
    value = entry.get(key)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    raise ValueError(f"{key} must be an integer of 0 or more, {_got(entry, key)}")


def text(entry: dict[str, Any], key: str) -> str:
    """The text under ``key``, which is not empty."""
    value = entry.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be text, {_got(entry, key)}")
    return value


def name(entry: dict[str, Any], key: str = "name") -> str:
    """The text under ``key`` in Unicode's composed form (NFC): it is compared between files."""
    return unicodedata.normalize("NFC", text(entry, key))


def flag(entry: dict[str, Any], key: str) -> bool:
    """Whether the value under ``key`` is 1; a missing one is 0."""
    value = entry.get(key, 0)
    if value not in (0, 1):
        raise ValueError(f"{key} must be 0 or 1, got {shown(value)}")
    return bool(value)


def items(entry: dict[str, Any], key: str) -> list[Any]:
    """The list under ``key``."""
    value = entry.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{key} must be a list, {_got(entry, key)}")
    return value


def frame_list(entry: dict[str, Any], key: str, length: int) -> list[Any]:
    """The list under ``key``, which has one item for each of the ``length`` frames of its video."""
    if len(value := items(entry, key)) != length:
        needed = "one item for each frame is needed, null where the object is not visible"
        raise ValueError(
            f"{key} has {len(value)} items, but the video has {length} frames; {needed}"
        )
    return value


def known(entry: dict[str, Any], key: str, ids: Iterable[int]) -> int:
    """The integer under ``key``, which is one of ``ids``."""
    value = integer(entry, key)
    if value not in ids:
        raise ValueError(f"unknown {key} {value}; the annotation file has {listed(sorted(ids))}")
    return value


def plain_spelling(name: str) -> str:
    """One spelling of all names that differ only in case, blanks, hyphens or underscores."""
    return re.sub(r"[\s_-]+", "", unicodedata.normalize("NFKC", name).casefold())


def near_misses(names: Iterable[str], wanted: Iterable[str]) -> list[tuple[str, str]]:
    """The names that differ from a wanted one in spelling only, each with that one."""
    spelled = {plain_spelling(name): name for name in wanted}
    return [(n, spelled[plain_spelling(n)]) for n in names if plain_spelling(n) in spelled]


def names_difference(own: Sequence[str], wanted: Sequence[str]) -> str:
    """What a list of names lacks of another and has more, in a line; "" if the sets are equal."""
    lacks = [name for name in wanted if name not in own]
    more = [name for name in own if name not in wanted]
    parts = [f"{what} {listed(n)}" for what, n in (("lacks", lacks), ("also has", more)) if n]
    if near := near_misses(more, lacks):
        pairs = ", ".join(f"{name!r} for {target!r}" for name, target in near[:_SHOWN])
        parts.append(f"some differ only in spelling: {pairs}")
    return ", ".join(parts)


def listed(values: Sequence[Any]) -> str:
    """The first few values, and how many there are."""
    more = f", ... ({len(values)})" if len(values) > _SHOWN else ""
    return ", ".join(map(repr, values[:_SHOWN])) + more or "none"


def is_finite(value: object) -> bool:
    """Whether a value is a number (not a bool) that float64 holds, infinity and NaN excluded."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond float64
        return False


def score(value: Any, name: str = "score") -> float:
    """The number in [0, 1] that every score, and every threshold of scores, is."""
    if not is_finite(value) or not 0 <= value <= 1:
        raise ValueError(f"{name} is {shown(value)}; it must be a number from 0 to 1")
    return float(value)


def iou_threshold(value: float) -> None:
    """Raise ValueError unless the least IoU of a match lies in (0, 1]."""
    if not 0 < value <= 1:
        raise ValueError(f"iou_threshold is {value}; it must be above 0 and at most 1")


def _got(entry: Mapping[str, Any], key: str) -> str:
    return f"got {shown(entry[key])}" if key in entry else "it is missing"
