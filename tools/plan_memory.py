"""``simplevtr plan``, for a clone; see ``simplevtr/commands/plan_memory.py``."""

from simplevtr.commands.plan_memory import main

if __name__ == "__main__":
    raise SystemExit(main())
