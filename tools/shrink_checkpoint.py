"""Keep the weights of a training checkpoint alone, in half precision, for sharing.

    python tools/shrink_checkpoint.py output/demo/clips/model_final.pth small.pth

The weights are those that the checkpoint's scores are of: the average if SOLVER.EMA_DECAY kept one.
The optimizer's state is left out, so the result can be evaluated or start a training, but not
resume one. It is short for tools/convert_checkpoint.py SOURCE TARGET --half.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.terminal import command_parser
from tools import convert_checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; the exit status is 2 after a user's error."""
    parser = command_parser(__file__, __doc__)
    parser.add_argument("source", help="checkpoint of a training (.pth)")
    parser.add_argument("target", help="file to write (.pth)")
    parser.add_argument("--overwrite", action="store_true", help="replace TARGET if it exists")
    options = parser.parse_args(arguments)
    more = ["--overwrite"] if options.overwrite else []
    return convert_checkpoint.main([options.source, options.target, "--half", *more])


if __name__ == "__main__":
    sys.exit(main())
