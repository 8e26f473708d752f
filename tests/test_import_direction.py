"""Which package may import which: the direction is read from the sources, not from a run."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "simplevtr"
# From the ground up: every module and room (a folder; those in toolbox count one by one), and what
# it may import, of the floors below alone. The ground floor is for all.
FLOORS = (
    {"config": "", "lazy": "", "structures": "", "terminal": ""},
    {
        "formats": "",
        "tracking": "",
        "backbone_weights": "",
        "config_file": "",
        "package_files": "",
        "safe_pickle": "",
    },
    {
        "config_checks": "config_file",
        "visualization": "formats",
        "weights_file": "formats safe_pickle",
    },
    {
        "checkpoint": "backbone_weights config_file formats package_files weights_file",
        "data": "formats",
        "evaluation": "formats",
        "modeling": "formats config_checks tracking",
        "video_io": "formats",
    },
    {
        "conversion": "backbone_weights checkpoint config_file data",
        "env": "modeling",
        "run_config": "config_file data config_checks modeling weights_file",
    },
    {
        "engine": "checkpoint config_file data evaluation formats modeling run_config tracking "
        "visualization weights_file",
        "inference": "checkpoint config_file data formats modeling run_config tracking video_io "
        "visualization",
        "toolbox": "formats config_checks modeling run_config video_io",
        "toolbox/ablation": "config_file data formats run_config",
        "toolbox/doctor": "data formats visualization",
        "toolbox/importing": "formats video_io",
        "toolbox/report": "evaluation formats",
    },
    {
        "commands": "checkpoint config_file conversion data engine evaluation formats inference "
        "run_config toolbox tracking video_io visualization weights_file"
    },
    {"__main__": "commands"},
)
ARROWS = {name: set(below.split()) for floor in FLOORS for name, below in floor.items()}


def imported(path):
    """Names of simplevtr modules that a file imports, such as "data.build"."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        ours = (n.split(".", 1)[1] for n in names if n.startswith("simplevtr."))
        yield from (name for name in ours if name != "__version__")


def test_every_room_and_module_is_listed():
    names = {path.stem for path in HOME.glob("*.py")} - {"__init__"}
    inits = [*HOME.glob("*/__init__.py"), *HOME.glob("toolbox/*/__init__.py")]
    assert names | {path.parent.relative_to(HOME).as_posix() for path in inits} == set(ARROWS)


def test_arrows_lead_down():
    below = set()
    for floor in FLOORS:
        assert set().union(*(ARROWS[name] for name in floor)) <= below
        below |= {*floor}


@pytest.mark.parametrize("room", ARROWS)
def test_rooms_import_only_what_they_may(room):
    allowed = ARROWS[room] | set(FLOORS[0] if room not in FLOORS[0] else ())
    file = HOME / f"{room}.py"
    for path in [file] if file.is_file() else (HOME / room).rglob("*.py"):
        folder = path.parent.relative_to(HOME).as_posix()
        if folder != room and folder in ARROWS:
            continue  # a room in this one
        for name in imported(path):
            own = f"{name}.".startswith(room.replace("/", ".") + ".")
            assert own or name.split(".")[0] in allowed, f"{path} imports simplevtr.{name}"


def test_only_the_meta_architecture_sees_all_of_modeling():
    wide = {}
    for path in (ROOT / "simplevtr/modeling").glob("*.py"):
        names = {n.split(".")[1] for n in imported(path) if n.startswith("modeling.")}
        wide[path.stem] = len(names)
    assert max(wide, key=wide.get) == "meta_arch"


def test_the_package_imports_no_script():
    for path in HOME.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) (tools|demo|train_net)\b", text, re.M), path
