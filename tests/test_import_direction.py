"""Which package may import which: the direction is read from the sources, not from a run."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Rooms are folders with an __init__.py; those of toolbox count one by one.
ROOMS = sorted(
    path.parent.relative_to(ROOT / "simplevtr").as_posix()
    for pattern in ("*/__init__.py", "toolbox/*/__init__.py")
    for path in (ROOT / "simplevtr").glob(pattern)
)
# What each room may import of the others. Missing rooms may import nothing.
ALLOWED = {
    "conversion": {"data"},
    "data": {"formats"},
    "evaluation": {"formats"},
    "formats": set(),
    "modeling": {"formats", "head_keys", "tracking"},
    "tracking": set(),
    "video_io": {"formats"},
    "visualization": {"formats"},
    "inference": {
        "checkpoint",
        "data",
        "formats",
        "run_config",
        "tracking",
        "video_io",
        "visualization",
    },
    "engine": {
        *("checkpoint", "config_file", "data", "evaluation", "formats", "modeling"),
        *("visualization", "weights_file"),
    },
    # Tools around the model, which nothing of the others needs.
    "toolbox": {"formats", "modeling"},
    "toolbox/ablation": {"config_file", "data", "formats", "run_config"},
    "toolbox/doctor": {"data", "formats", "run_config", "visualization"},
    "toolbox/importing": {"formats"},
    "toolbox/report": {"evaluation", "formats"},
}
LEAVES = {"config", "lazy", "structures", "terminal"}


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
        yield from (n.split(".", 1)[1] for n in names if n.startswith("simplevtr."))


def test_every_room_is_listed():
    assert set(ROOMS) == set(ALLOWED)


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_import_only_what_they_may(room):
    allowed = ALLOWED[room] | LEAVES
    for path in (ROOT / "simplevtr" / room).rglob("*.py"):
        folder = path.parent.relative_to(ROOT / "simplevtr").as_posix()
        if folder != room and folder in ALLOWED:
            continue  # a room in this one
        for name in imported(path):
            own = f"{name}.".startswith(room.replace("/", ".") + ".")
            assert own or name.split(".")[0] in allowed, f"{path} imports simplevtr.{name}"


@pytest.mark.parametrize("leaf", sorted(LEAVES))
def test_leaves_import_nothing_of_ours(leaf):
    assert list(imported(ROOT / "simplevtr" / f"{leaf}.py")) == []


def test_only_the_meta_architecture_sees_all_of_modeling():
    wide = {}
    for path in (ROOT / "simplevtr/modeling").glob("*.py"):
        names = {n.split(".")[1] for n in imported(path) if n.startswith("modeling.")}
        wide[path.stem] = len(names)
    assert max(wide, key=wide.get) == "meta_arch"


def test_the_package_imports_no_command():
    for path in (ROOT / "simplevtr").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = node.module if isinstance(node, ast.ImportFrom) else None
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [module or ""]
            assert not any(n.split(".")[0] in ("tools", "demo", "train_net") for n in names), path
