"""``python -m simplevtr``: the same as ``simplevtr``."""

import sys

from simplevtr.commands import main

if __name__ == "__main__":
    sys.exit(main())
