"""``simplevtr convert``, for a clone; see ``simplevtr/commands/convert_checkpoint.py``."""

import sys

from simplevtr.commands.convert_checkpoint import main

if __name__ == "__main__":
    sys.exit(main())
