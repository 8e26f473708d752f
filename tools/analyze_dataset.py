"""``simplevtr analyze``, for a clone; see ``simplevtr/commands/analyze_dataset.py``."""

from simplevtr.commands.analyze_dataset import main

if __name__ == "__main__":
    raise SystemExit(main())
