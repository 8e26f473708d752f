"""What a score is over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation (n - 1); None where there are too few values."""

    mean: float | None
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread:
        """Of the values that are there."""
        known = [value for value in values if value is not None]
        return cls(
            mean=fmean(known) if known else None,
            std=stdev(known) if len(known) > 1 else None,
            n=len(known),
        )

    def shown(self, digits: int = 1, *, sign: bool = False) -> str:
        """For a table: "12.3 ± 0.4"; "-" for what is not known."""
        if self.mean is None:
            return "-"
        mean = f"{self.mean:+.{digits}f}" if sign else f"{self.mean:.{digits}f}"
        return f"{mean} ± {'-' if self.std is None else f'{self.std:.{digits}f}'}"
