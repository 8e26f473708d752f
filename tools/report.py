"""``simplevtr report``, for a clone; see ``simplevtr/commands/report.py``."""

from simplevtr.commands.report import main

if __name__ == "__main__":
    raise SystemExit(main())
