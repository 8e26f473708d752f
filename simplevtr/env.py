"""``python -m simplevtr.env``: versions, devices and the deformable-convolution kernel in use."""

import platform
import sys
from importlib.metadata import version

from tabulate import tabulate

PACKAGES = ("torchvision", "fvcore", "einops", "pycocotools", "scipy", "av")


def describe() -> list[tuple[str, str]]:
    """(name, value) pairs that a bug report needs."""
    import simplevtr
    from simplevtr.modeling.deform_conv import backend_name, detectron2_is_compiled

    import detectron2
    import torch

    compiled = "compiled" if detectron2_is_compiled() else "pure Python"
    rows = [
        ("simplevtr", simplevtr.__version__),
        ("python", f"{sys.version.split()[0]} on {platform.platform()}"),
        ("torch", torch.__version__),
        *((name, version(name)) for name in PACKAGES),
        ("detectron2", f"{detectron2.__version__} ({compiled}) at {detectron2.__path__[0]}"),
        ("CPU", f"{torch.get_num_threads()} threads"),
        ("deformable convolution, CPU", backend_name(torch.device("cpu"))),
    ]
    for index in range(torch.cuda.device_count()):
        gib = torch.cuda.get_device_properties(index).total_memory / 2**30
        rows.append((f"GPU {index}", f"{torch.cuda.get_device_name(index)}, {gib:.1f} GiB"))
    if torch.cuda.is_available():
        rows.append(("deformable convolution, GPU", backend_name(torch.device("cuda"))))
    else:
        rows.append(("GPU", "none that torch can use"))
    return rows


def main() -> None:
    """Print the table."""
    print(tabulate(describe(), tablefmt="plain", disable_numparse=True))


if __name__ == "__main__":
    main()
