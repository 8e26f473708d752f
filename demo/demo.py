"""``simplevtr demo``, for a clone; see ``simplevtr/commands/demo.py``."""

import sys

from simplevtr.commands.demo import main

if __name__ == "__main__":
    sys.exit(main())
