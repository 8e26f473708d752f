"""Examines the list of categories, and which of them annotations have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, first_difference
from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.values import checked, other_values
from simplevtr.formats import checks

_NAMED = 5  # categories that a message names


@dataclass(frozen=True)
class Categories:
    """The categories that can be used.

    Attributes:
        entries: by id, in the order of the file.
        alias: by each id that annotations may have, the id of the category that it means.
    """

    entries: dict[int, dict[str, Any]]
    alias: dict[int, int]


def examine_categories(entries: list[Any], dataset_name: str, findings: Findings) -> Categories:
    """Count what is wrong with the categories of a file and give those that can be used.

    Args:
        entries: the file's.
        dataset_name: of the public dataset whose categories they must be; other names have none.
        findings: where the defects go.
    """
    if not entries:
        findings.add("nothing-left", Place(), "the list of categories is empty")
    kept: dict[int, dict[str, Any]] = {}
    alias: dict[int, int] = {}
    by_name: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place = Place(entry=f"categories[{index}]")
        if not isinstance(entry, dict):
            findings.add("wrong-type", place, f"{shown(entry)} is not an object")
            category_id = None
        else:
            category_id = checked(checks.integer, entry, "id", findings, place)
        if category_id is None:
            findings.repaired("categories that cannot be used were dropped")
            continue
        place = place.but(category=category_id)
        values = other_values(entry, ("id", "name"), findings, place)
        name = checked(checks.name, entry, "name", findings, place)
        if name is None:
            findings.repaired("categories without a name were named after their id")
            name = f"category {category_id}"
        if category_id in alias:
            detail = f"id {category_id} of {shown(name)} is that of another category"
            repair = "categories with the id of another one were dropped"
            findings.add("duplicate-category", place, detail, repair)
        elif name in by_name:
            detail = f"name {shown(name)} is that of category {by_name[name]}"
            repair = "categories with the name of another one became one with it"
            findings.add("duplicate-name", place, detail, repair)
            alias[category_id] = by_name[name]
        else:
            alias[category_id] = by_name[name] = category_id
            kept[category_id] = {"id": category_id, "name": name, **values}
    _compare_with_official(by_name, dataset_name, findings)
    return Categories(kept, alias)


def _compare_with_official(by_name: dict[str, int], dataset_name: str, findings: Findings) -> None:
    expected = DATASET_CATEGORIES.get(dataset_name)
    if expected is None:
        return
    found = sorted((category_id, name) for name, category_id in by_name.items())
    difference = first_difference(tuple(found), expected)
    if difference is not None:
        detail = f"compared with {dataset_name}, the category list {difference}"
        findings.add("foreign-categories", Place(), detail)


def examine_use(categories: Categories, used: set[int], findings: Findings) -> None:
    """Count the categories without an annotation as one case: open vocabularies have thousands."""
    unused = [entry for key, entry in categories.entries.items() if key not in used]
    if len(unused) == 1:
        place = Place(category=unused[0]["id"])
        findings.add("unused-category", place, f"{shown(unused[0]['name'])} has no annotation")
    elif unused:
        names = listed([shown(entry["name"]) for entry in unused])
        detail = f"{len(unused):,} of {len(categories.entries):,} categories have no annotation"
        findings.add("unused-category", Place(), f"{detail}: {names}")


def listed(names: Sequence[str]) -> str:
    """The first few of the names."""
    return ", ".join(names[:_NAMED]) + ", ..." * (len(names) > _NAMED)
