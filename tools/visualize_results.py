"""``simplevtr visualize``, for a clone; see ``simplevtr/commands/visualize_results.py``."""

from simplevtr.commands.visualize_results import main

if __name__ == "__main__":
    raise SystemExit(main())
