"""``simplevtr split``, for a clone; see ``simplevtr/commands/split_dataset.py``."""

import sys

from simplevtr.commands.split_dataset import main

if __name__ == "__main__":
    sys.exit(main())
