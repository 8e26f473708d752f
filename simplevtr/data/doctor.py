"""``python -m simplevtr.data.doctor``, as the doctor was called before ``simplevtr doctor``."""

import importlib

if __name__ == "__main__":
    raise SystemExit(importlib.import_module("simplevtr.commands.doctor").main())
