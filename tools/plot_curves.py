"""``simplevtr curves``, for a clone; see ``simplevtr/commands/plot_curves.py``."""

import sys

from simplevtr.commands.plot_curves import main

if __name__ == "__main__":
    sys.exit(main())
