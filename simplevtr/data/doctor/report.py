"""What was found, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.catalogue import DEFECTS, ERROR, WARNING
from simplevtr.data.doctor.examination import Examination
from simplevtr.data.doctor.findings import Findings

from tabulate import tabulate

_MOST_WIDTH = 200  # characters of an example


def summary(examination: Examination, json_file: str, image_root: str | None) -> str:
    """A line on what the file holds and, with images, a line on them."""
    totals = examination.totals
    kinds = ("videos", "frames", "tracks", "masks", "categories")
    lines = [f"{json_file}: {', '.join(f'{totals[kind]:,} {kind}' for kind in kinds)}"]
    if image_root is not None:
        lines.append(f"{totals['frames']:,} images in {image_root}")
    return "\n".join(lines)


def table(examination: Examination, *, examples: int) -> str:
    """The defects, one row each, with their first examples; how many, and what was left out.

    Args:
        examination: with the defects.
        examples: shown of each defect.
    """
    findings, totals = examination.findings, examination.totals
    rows = [
        [
            name,
            DEFECTS[name].severity,
            f"{findings.counts[name]:,}",
            "\n".join(_cut(str(case)) for case in findings.examples[name][:examples]),
        ]
        for name in findings.names()
    ]
    lines, last = [], "no defects"
    if rows:
        headers = ["defect", "severity", "count", "first examples"]
        text = tabulate(
            rows, headers, tablefmt="simple", disable_numparse=True,
            colalign=("left", "left", "right"),
        )  # fmt: skip
        lines = [*(line.rstrip() for line in text.splitlines()), ""]
        counts = {severity: findings.total(severity) for severity in (ERROR, WARNING)}
        last = " and ".join(f"{n:,} {kind}{'s' * (n != 1)}" for kind, n in counts.items())
    for what, way in (("not looked at", "--images ROOT"), ("not decoded", "without --no-decode")):
        if totals[what]:
            last += f"; {totals[what]:,} frames were {what} ({way})"
    return "\n".join([*lines, last])


def repair_table(findings: Findings, left: Findings, target: str) -> str:
    """What was repaired in the copy ``target``, and which defects are left in it."""
    lines = [f"{count:>9,}  {what}" for what, count in findings.repairs.items()]
    lines = [f"repaired in {target}:", *lines] if lines else [f"nothing to repair in {target}"]
    rows = [f"{left.counts[name]:>9,}  {name}" for name in left.names()]
    return "\n".join([*lines, *(["left in it:", *rows] if rows else ["no defects are left in it"])])


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
                    {**case.place, "detail": case.detail} for case in findings.examples[name]
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
