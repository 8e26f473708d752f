"""``simplevtr import``, for a clone; see ``simplevtr/commands/import_dataset.py``."""

from simplevtr.commands.import_dataset import main

if __name__ == "__main__":
    raise SystemExit(main())
