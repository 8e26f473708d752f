"""Plot the losses and the mask AP of one or more training runs.

python tools/plot_curves.py OUTPUT_DIR [OUTPUT_DIR ...] --output curves.png
"""

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.formats.files import check_output, write_bytes
from simplevtr.formats.metrics import read_metrics
from simplevtr.terminal import command_parser, run_command
from simplevtr.visualization.plots import draw_curves


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    parser = command_parser(__file__, __doc__)
    parser.add_argument("runs", nargs="+", metavar="OUTPUT_DIR", help="folder with a metrics.json")
    parser.add_argument("--output", required=True, help="picture to write: .png, .pdf or .svg")
    parser.add_argument("--overwrite", action="store_true", help="replace an existing picture")
    return run_command(parser, run, arguments)


def run(args: argparse.Namespace) -> None:
    """Read the runs and write the picture."""
    output = check_output(args.output, overwrite=args.overwrite, suffixes=(".png", ".pdf", ".svg"))
    figure = draw_curves({_run_name(run, args.runs): read_metrics(run) for run in args.runs})
    picture = io.BytesIO()
    figure.savefig(picture, format=output.suffix[1:].lower(), dpi=110)
    write_bytes(output, picture.getvalue(), overwrite=args.overwrite)
    print(f"wrote {output}")


def _run_name(run: str, runs: list[str]) -> str:
    """The folder's own name, or its whole path where two runs share a name."""
    names = [Path(other).resolve().name for other in runs]
    name = Path(run).resolve().name
    return name if names.count(name) == 1 else run


if __name__ == "__main__":
    sys.exit(main())
