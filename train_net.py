"""``simplevtr train``, for a clone; see ``simplevtr/commands/train_net.py``."""

from simplevtr.commands.train_net import main

if __name__ == "__main__":
    raise SystemExit(main())
