"""Examines the list of categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simplevtr.data.categories import DATASET_CATEGORIES, first_difference
from simplevtr.data.doctor.findings import Findings, Place, shown
from simplevtr.data.doctor.values import integer, other_values


@dataclass(frozen=True)
class Categories:
    """The categories that can be used.

    Attributes:
        entries: in the order of the file.
        alias: by each id that annotations may have, the id of the category that it means.
    """

    entries: list[dict[str, Any]]
    alias: dict[int, int]

    def report_unused(self, used: set[int], findings: Findings) -> None:
        """Count the categories whose ids are not among the ``used`` ones."""
        for entry in self.entries:
            if entry["id"] not in used:
                place = Place(category=entry["id"])
                findings.add("unused-category", place, f"{shown(entry['name'])} has no annotation")

    def compare_with_official(self, dataset_name: str, findings: Findings) -> None:
        """Count a difference to the categories of a public data set; other names have none."""
        expected = DATASET_CATEGORIES.get(dataset_name)
        if expected is None:
            return
        found = sorted((entry["id"], entry["name"]) for entry in self.entries)
        difference = first_difference(tuple(found), expected)
        if difference is not None:
            detail = f"compared with {dataset_name}, the category list {difference}"
            findings.add("foreign-categories", Place(), detail)


def examine_categories(entries: list[Any], findings: Findings) -> Categories:
    """Count what is wrong with the categories of a file and give those that can be used."""
    kept: dict[int, dict[str, Any]] = {}
    alias: dict[int, int] = {}
    by_name: dict[str, int] = {}
    for index, entry in enumerate(entries):
        place = Place(entry=f"categories[{index}]")
        category_id = _id(entry, findings, place)
        if category_id is None:
            findings.repaired("categories that cannot be used were dropped")
            continue
        place = place.but(category=category_id)
        values = other_values(entry, ("id", "name"), findings, place)
        name = _name(entry, category_id, findings, place)
        if category_id in alias:
            detail = f"id {category_id} of {shown(name)} is that of another category"
            findings.add("duplicate-category", place, detail)
            findings.repaired("categories with the id of another one were dropped")
        elif name in by_name:
            detail = f"name {shown(name)} is that of category {by_name[name]}"
            findings.add("duplicate-name", place, detail)
            findings.repaired("categories with the name of another one became one with it")
            alias[category_id] = by_name[name]
        else:
            alias[category_id] = by_name[name] = category_id
            kept[category_id] = {"id": category_id, "name": name, **values}
    return Categories([*kept.values()], alias)


def _id(entry: Any, findings: Findings, place: Place) -> int | None:
    if not isinstance(entry, dict):
        findings.add("wrong-type", place, f"{shown(entry)} is no object")
        return None
    return integer(entry, "id", findings, place)


def _name(entry: dict[str, Any], category_id: int, findings: Findings, place: Place) -> str:
    if "name" not in entry:
        findings.add("missing-key", place, "name is missing")
    elif isinstance(entry["name"], str):
        return entry["name"]
    else:
        findings.add("wrong-type", place, f"name is {shown(entry['name'])}, not text")
    findings.repaired("categories without a name were named after their id")
    return f"category {category_id}"
