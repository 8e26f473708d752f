"""``python -m simplevtr.data.doctor``, as the doctor was called before ``simplevtr doctor``."""

import importlib
import sys

if __name__ == "__main__":
    sys.exit(importlib.import_module("simplevtr.commands.doctor").main())
