"""``simplevtr split``, for a clone; see ``simplevtr/commands/split_dataset.py``."""

from simplevtr.commands.split_dataset import main

if __name__ == "__main__":
    raise SystemExit(main())
