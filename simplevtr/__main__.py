"""``python -m simplevtr``: the same as ``simplevtr``."""

from simplevtr.commands import main

if __name__ == "__main__":
    raise SystemExit(main())
