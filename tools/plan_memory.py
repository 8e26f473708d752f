"""``simplevtr plan``, for a clone; see ``simplevtr/commands/plan_memory.py``."""

import sys

from simplevtr.commands.plan_memory import main

if __name__ == "__main__":
    sys.exit(main())
