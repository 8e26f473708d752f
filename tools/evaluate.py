"""``simplevtr evaluate``, for a clone; see ``simplevtr/commands/evaluate.py``."""

from simplevtr.commands.evaluate import main

if __name__ == "__main__":
    raise SystemExit(main())
