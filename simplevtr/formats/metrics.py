"""Training curves from the metrics.json that detectron2 writes into a run's output folder."""

import json
import logging
import os
from pathlib import Path

logger = logging.getLogger(__name__)

Curve = list[tuple[int, float]]
"""(iteration, value) pairs with rising iterations."""


def end_last_line(path: Path) -> None:
    """Let what is appended next begin on a new line, where a killed run left its last one torn."""
    if path.is_file() and path.read_bytes()[-1:] not in (b"", b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def read_metrics(folder: str | os.PathLike) -> dict[str, Curve]:
    """The curves of a run, of its output folder or the metrics.json itself, by name of the metric.

    Lines that are not whole are left out with a warning: a run that was killed may leave its last
    line torn. Where a resumed run goes back, what it did from there on before does not count.
    FileNotFoundError: there is no metrics.json. ValueError: it holds no record of the form
    {"iteration": ..., ...}.
    """
    path = Path(folder)
    if path.is_dir():
        path = path / "metrics.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; a training run's output folder is needed")
    values: dict[str, dict[int, float]] = {}
    last = -1
    for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_int=lambda n: int(n) if len(n) < 20 else float(n))
        except (json.JSONDecodeError, RecursionError):
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("iteration"), int):
            logger.warning("%s: line %d is not a whole record and is left out", path, number)
            continue
        now = record.pop("iteration")
        if now < last:  # it may end earlier this time
            values = {k: {i: x for i, x in old.items() if i < now} for k, old in values.items()}
        last = now
        for name, value in record.items():
            if isinstance(value, (int, float)):
                values.setdefault(name, {})[now] = float(value)
    if not values:
        raise ValueError(f'{path}: no line of the form {{"iteration": 19, "total_loss": 3.2, ...}}')
    return {name: sorted(curve.items()) for name, curve in values.items() if curve}
