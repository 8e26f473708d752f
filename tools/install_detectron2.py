"""Install detectron2 as pure Python, without GitHub, a compiler or a CUDA toolkit.

Upstream detectron2 is not on PyPI and its set-up compiles C++ and CUDA sources. The wheel used
here, ``sal-detectron2`` on PyPI, is upstream commit a59f0563 (2024-04-17) plus one fix
(``random.sample`` on a set fails on Python >= 3.11), its own version string and a test helper. Its
tag says CPython 3.10, but apart from one shared library that only loads there it is plain Python,
so it is installed for any version and that library is dropped: SimpleVTR does not need it (see
``simplevtr/modeling/deform_conv.py``).

A detectron2 that is already importable is never touched. Run it with the interpreter that needs it:

    .venv/bin/python tools/install_detectron2.py
"""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

REQUIREMENT = "sal-detectron2==0.7.2"
SHA256 = "491af0c7f79bdb2d178e46f6cb16a97c4ac968d45c41ea3f6b6435d59bbee561"
# pip must be told the wheel's own tag, since it is not the running interpreter's.
WHEEL_TAG = ["--python-version", "3.10", "--implementation", "cp", "--abi", "none"]
WHEEL_TAG += ["--platform", "any", "--only-binary=:all:", "--no-deps"]


def main() -> int:
    """Install the wheel unless some detectron2 is importable; return the exit status."""
    found = importlib.util.find_spec("detectron2")
    if found is not None:
        print(f"detectron2 is already installed at {found.origin}; leaving it as it is")
        return 0
    site_packages = Path(sysconfig.get_paths()["purelib"])
    stray = site_packages / "tools"  # the wheel ships a top-level package of this name by mistake
    had_stray = stray.exists()
    with tempfile.TemporaryDirectory() as folder:
        _pip("download", *WHEEL_TAG, "--dest", folder, REQUIREMENT)
        (wheel,) = Path(folder).glob("*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != SHA256:
            print(f"{wheel.name}: sha256 is {digest}, not {SHA256}; not installed", file=sys.stderr)
            return 1
        _pip("install", *WHEEL_TAG, "--target", str(site_packages), str(wheel))
    for library in (site_packages / "detectron2").glob("_C*.so"):
        library.unlink()
    if not had_stray and stray.exists():
        shutil.rmtree(stray)
    print(f"installed {REQUIREMENT} (pure Python) into {site_packages}")
    return 0


def _pip(*arguments: str) -> None:
    command, *rest = arguments
    subprocess.run([sys.executable, "-m", "pip", command, "--quiet", *rest], check=True)


if __name__ == "__main__":
    sys.exit(main())
