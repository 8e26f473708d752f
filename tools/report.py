"""``simplevtr report``, for a clone; see ``simplevtr/commands/report.py``."""

import sys

from simplevtr.commands.report import main

if __name__ == "__main__":
    sys.exit(main())
