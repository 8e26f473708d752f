"""Plot the losses and the mask AP of one or more training runs.

python tools/plot_curves.py OUTPUT_DIR [OUTPUT_DIR ...] --output curves.png
"""

import argparse
from collections import Counter
from pathlib import Path

from simplevtr.formats.files import check_output
from simplevtr.formats.metrics import read_metrics
from simplevtr.terminal import command, say


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", metavar="OUTPUT_DIR", help="folder with a metrics.json")
    parser.add_argument("--output", required=True, help="picture to write: .png, .pdf or .svg")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")


@command(_add_options)
def main(args: argparse.Namespace) -> None:
    """Read the runs and write the picture."""
    from simplevtr.visualization.plots import draw_curves, write_figure  # takes a second

    output = check_output(args.output, overwrite=args.overwrite, suffixes=(".png", ".pdf", ".svg"))
    runs = {Path(run).resolve(): run for run in args.runs}  # each one once
    names = Counter(path.name for path in runs)
    shown = {path.name if names[path.name] == 1 else run: run for path, run in runs.items()}
    figure = draw_curves({name: read_metrics(run) for name, run in shown.items()})
    write_figure(figure, output, overwrite=args.overwrite)
    say(f"wrote {output}")
