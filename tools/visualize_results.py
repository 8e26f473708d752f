"""``simplevtr visualize``, for a clone; see ``simplevtr/commands/visualize_results.py``."""

import sys

from simplevtr.commands.visualize_results import main

if __name__ == "__main__":
    sys.exit(main())
