"""``simplevtr export``, for a clone; see ``simplevtr/commands/export_results.py``."""

from simplevtr.commands.export_results import main

if __name__ == "__main__":
    raise SystemExit(main())
