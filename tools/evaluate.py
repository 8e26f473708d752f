"""``simplevtr evaluate``, for a clone; see ``simplevtr/commands/evaluate.py``."""

import sys

from simplevtr.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(main())
