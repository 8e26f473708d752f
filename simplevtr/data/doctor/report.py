"""What was found, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from simplevtr.data.doctor.catalogue import DEFECTS, ERROR, WARNING
from simplevtr.data.doctor.examination import Examination

from tabulate import tabulate

_MOST_WIDTH = 200  # characters of an example


def table(examination: Examination, *, examples: int) -> str:
    """The defects, one row each, with so many examples; how many, and what was left out."""
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
        align = ("left", "left", "right")
        text = tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align)
        lines = [*(line.rstrip() for line in text.splitlines()), ""]
        counts = {severity: findings.total(severity) for severity in (ERROR, WARNING)}
        last = " and ".join(f"{n:,} {kind}{'s' * (n != 1)}" for kind, n in counts.items())
    for what, way in (("not looked at", "--images ROOT"), ("not decoded", "without --no-decode")):
        if totals[what]:
            last += f"; {totals[what]:,} frames were {what} ({way})"
    return "\n".join([*lines, last])


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_WIDTH else text[: _MOST_WIDTH - 3] + "..."


def repair_table(repaired: dict[str, Any]) -> str:
    """What was repaired in a copy, and which defects are left in it.

    Args:
        repaired: the path ``file``, and counts of ``repairs`` and of defects ``left``, by name.
    """
    file, repairs, left = repaired["file"], repaired["repairs"], repaired["left"]
    return "\n".join(
        [
            f"repaired in {file}:" if repairs else f"nothing to repair in {file}",
            *(f"{count:>9,}  {what}" for what, count in repairs.items()),
            "left in it:" if left else "no defects are left in it",
            *(f"{count:>9,}  {name}" for name, count in left.items()),
        ]
    )


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
                **DEFECTS[name]._asdict(),
                "count": findings.counts[name],
                "examples": [
                    {**case.place, "detail": case.detail} for case in findings.examples[name]
                ],
            }
            for name in findings.names()
        ],
    }
