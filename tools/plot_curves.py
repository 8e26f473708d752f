"""``simplevtr curves``, for a clone; see ``simplevtr/commands/plot_curves.py``."""

from simplevtr.commands.plot_curves import main

if __name__ == "__main__":
    raise SystemExit(main())
