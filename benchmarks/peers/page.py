"""docs/peers.md: the figures of finished runs in the text of page.md."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from simplevtr.terminal import markdown_table, one_line

TEXT = Path(__file__).with_name("page.md")
# The columns: their titles, the figures in them, and the format of those.
COLUMNS = [
    ("val AP / AP50", ("val AP", "val AP50"), ".1f"),
    ("long AP / AP50", ("long AP", "long AP50"), ".1f"),
    ("HOTA, val / long", ("val HOTA", "long HOTA"), ".1f"),
    ("CPU ms per frame, val / long", ("val ms", "long ms"), ".1f"),
    ("peak MiB, training / inference", ("train MiB", "predict MiB"), ",.0f"),
    ("MB in half precision", ("MB",), ".1f"),
    ("parameters (M)", ("parameters",), ".2f"),
    ("CPU s of training", ("CPU s",), ",.0f"),
]


def page(
    runs: Sequence[dict[str, Any]],
    systems: Mapping[str, tuple[str, str]],
    problems: Sequence[str],
    **words: Any,
) -> str:
    """The page.

    Args:
        runs: the content of result files.
        systems: title and licence by the runs' ``name``, in the order of the rows.
        problems: what is not shown, and why.
        words: of the text: ``command``, ``budget``, ``threads`` and ``configs``.
    """
    rows, seeds = [], []
    for name, (title, licence) in systems.items():
        found = {run["seed"]: figures(run) for run in runs if run["name"] == name}
        if not found:
            continue
        rows.append([title, licence, str(len(found)), *cells(found.values(), median)])
        seeds += [[title, str(seed), *cells([run], max)] for seed, run in found.items()]
        seeds.append([title, "spread", *cells(found.values(), lambda own: max(own) - min(own))])
    heads = [title for title, *_ in COLUMNS]
    versions = {k: v for run in runs for k, v in run["train"]["versions"].items()}
    text = TEXT.read_text(encoding="utf-8").format(
        **words,
        machine="; ".join(sorted({run["machine"] for run in runs})),
        table=markdown_table(["system", "licence", "seeds", *heads], rows, left=2),
        versions=", ".join(f"{k} {v}" for k, v in sorted(versions.items())),
        seeds=markdown_table(["system", "seed", *heads], seeds),
    )
    if problems:
        text += "\n## Not shown\n\n" + "".join(f"* {one_line(problem)}\n" for problem in problems)
    return text


def figures(run: dict[str, Any]) -> dict[str, float | None]:
    """The figures of a result file by name; None for HOTA without TrackEval."""
    train, predict = run["train"], run["predict"]
    found: dict[str, float | None] = {"CPU s": train["cpu_seconds"]}
    for split, scores in run["scores"].items():
        found |= {f"{split} {metric}": scores.get(metric) for metric in ("AP", "AP50", "HOTA")}
        found[f"{split} ms"] = predict["milliseconds"][split]
    found |= {f"{step} MiB": run[step]["peak_bytes"] / 2**20 for step in ("train", "predict")}
    return found | {"MB": predict["half_bytes"] / 1e6, "parameters": predict["parameters"] / 1e6}


def cells(
    found: Sequence[dict[str, float | None]], how: Callable[[Sequence[float]], float]
) -> list[str]:
    """The cells of a row that has one value, made by ``how``, of those of several runs."""

    def shown(name: str, form: str) -> str:
        values = [run[name] for run in found]
        return "-" if None in values else f"{how(values):{form}}"

    return [" / ".join(shown(name, form) for name in names) for _, names, form in COLUMNS]
