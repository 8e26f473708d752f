"""Which category of one dataset is which of another: by name, never by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from simplevtr.formats.checks import plain_spelling

# Two names of one thing, in the spelling of plain_name.
_SYNONYMS = {"motorcycle": "motorbike", "frisbee": "flyingdisc"}
# One name of two things: (name, supercategory) pairs that are not what other datasets mean. COCO's
# mouse belongs to a computer, YouTube-VIS's is an animal.
_OTHER_THINGS = {("mouse", "electronic")}


def match_categories(
    names: Mapping[str, str | None], targets: Sequence[str]
) -> dict[str, int | None]:
    """Find the categories of one dataset among those of another.

    Case, and blanks or hyphens in place of underscores, do not count. "motorcycle" is "motorbike"
    and "frisbee" is "flying_disc". A "mouse" of the supercategory "electronic", as COCO has it, is
    not the animal.

    Args:
        names: the names to look up, each with its supercategory or None.
        targets: the names to look among.

    Returns:
        For each name the index of its target, or None if there is none.

    Raises:
        ValueError: if two targets are the same name in different spelling.
    """
    places: dict[str, int] = {}
    for index, target in enumerate(targets):
        first = places.setdefault(plain_name(target), index)
        if first != index:
            raise ValueError(f"categories {targets[first]!r} and {target!r} cannot be told apart")
    return {
        name: None if (plain_name(name), kind) in _OTHER_THINGS else places.get(plain_name(name))
        for name, kind in names.items()
    }


def plain_name(name: str) -> str:
    """The one spelling of all that count as the same name."""
    spelling = plain_spelling(name)
    return _SYNONYMS.get(spelling, spelling)
