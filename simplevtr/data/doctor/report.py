"""What was found, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.defects import DEFECTS, ERROR, WARNING
from simplevtr.data.doctor.examination import Examination
from simplevtr.data.doctor.findings import Findings

from tabulate import tabulate

_MOST_WIDTH = 200  # characters of an example


def summary(examination: Examination, json_file: str, image_root: str | None) -> str:
    """A line on what the file holds and a line on its images."""
    totals = examination.totals
    kinds = ("videos", "frames", "tracks", "masks", "categories")
    parts = [f"{totals[kind]:,} {kind}" for kind in kinds]
    images = (
        "images were not looked at (--images ROOT)"
        if image_root is None
        else f"{totals['files']:,} images in {image_root}"
    )
    return f"{json_file}: {', '.join(parts)}\n{images}"


def table(findings: Findings, *, examples: int) -> str:
    """The defects, a row each, with their first examples; and how many there are.

    Args:
        findings: the defects.
        examples: shown of each defect.
    """
    rows = [
        [
            name,
            DEFECTS[name].severity,
            f"{findings.counts[name]:,}",
            "\n".join(_cut(str(case)) for case in findings.examples[name][:examples]),
        ]
        for name in findings.names()
    ]
    if not rows:
        return "no defects"
    headers = ["defect", "severity", "count", "first examples"]
    text = tabulate(
        rows, headers, tablefmt="simple", disable_numparse=True, colalign=("left", "left", "right")
    )
    lines = [line.rstrip() for line in text.splitlines()]
    counts = [
        f"{findings.total(severity):,} {severity}{'s' if findings.total(severity) != 1 else ''}"
        for severity in (ERROR, WARNING)
    ]
    return "\n".join([*lines, "", " and ".join(counts)])


def repair_table(findings: Findings, left: Findings, target: str) -> str:
    """What was repaired in the copy ``target``, and which defects are left in it."""
    lines = [f"{count:>9,}  {what}" for what, count in findings.repairs.items()]
    lines = [f"repaired in {target}:", *lines] if lines else [f"nothing to repair in {target}"]
    names = left.names()
    if not names:
        return "\n".join([*lines, "no defects are left in it"])
    rows = [f"{left.counts[name]:>9,}  {name}" for name in names]
    return "\n".join([*lines, "left in it:", *rows])


def catalogue() -> str:
    """All defects that are known: severity, meaning and repair."""
    parts = []
    for defect in DEFECTS.values():
        can_ignore = ", can be ignored" if defect.ignorable else ""
        parts.append(f"{defect.name} ({defect.severity}{can_ignore})\n    {defect.meaning}.")
        parts.append(f"    --fix: {defect.repair or 'not repaired'}.")
    return "\n".join(parts)


def as_json(examination: Examination, json_file: str, image_root: str | None) -> dict[str, Any]:
    """The report as an object that JSON can hold."""
    findings = examination.findings
    return {
        "file": json_file,
        "images": image_root,
        "totals": examination.totals,
        "errors": findings.total(ERROR),
        "warnings": findings.total(WARNING),
        "ignored": sorted(findings.ignored),
        "defects": [
            {
                "name": name,
                "severity": DEFECTS[name].severity,
                "meaning": DEFECTS[name].meaning,
                "repair": DEFECTS[name].repair,
                "count": findings.counts[name],
                "examples": [
                    {**case.place.as_json(), "detail": case.detail}
                    for case in findings.examples[name]
                ],
            }
            for name in findings.names()
        ],
    }


def repairs_as_json(findings: Findings, left: Findings, target: str) -> dict[str, Any]:
    """What ``repair_table`` says, as an object that JSON can hold."""
    return {
        "file": target,
        "repairs": dict(findings.repairs),
        "left": {name: left.counts[name] for name in left.names()},
    }


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_WIDTH else text[: _MOST_WIDTH - 3] + "..."
