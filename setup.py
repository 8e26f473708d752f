"""What pyproject.toml cannot express: configs and the demo's model go into the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

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


setup(cmdclass={"build_py": BuildWithShipped})
