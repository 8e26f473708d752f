"""``simplevtr convert``, for a clone; see ``simplevtr/commands/convert_checkpoint.py``."""

from simplevtr.commands.convert_checkpoint import main

if __name__ == "__main__":
    raise SystemExit(main())
