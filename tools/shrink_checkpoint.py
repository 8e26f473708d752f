"""The weights of a training checkpoint alone, in half precision: short for convert_checkpoint.py.

python tools/shrink_checkpoint.py output/model_final.pth small.pth
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from tools.convert_checkpoint import main

if __name__ == "__main__":
    sys.exit(main([*sys.argv[1:], "--half"]))
