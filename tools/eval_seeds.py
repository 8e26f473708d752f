"""``simplevtr seeds``, for a clone; see ``simplevtr/commands/eval_seeds.py``."""

import sys

from simplevtr.commands.eval_seeds import main

if __name__ == "__main__":
    sys.exit(main())
