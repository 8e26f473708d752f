"""``simplevtr demo``, for a clone; see ``simplevtr/commands/demo.py``."""

from simplevtr.commands.demo import main

if __name__ == "__main__":
    raise SystemExit(main())
