"""``simplevtr seeds``, for a clone; see ``simplevtr/commands/eval_seeds.py``."""

from simplevtr.commands.eval_seeds import main

if __name__ == "__main__":
    raise SystemExit(main())
