"""YAML files and KEY VALUE words -> a config. No file runs code, every value has its key's type.

detectron2 reads configs by ``yaml.unsafe_load``, which runs what a file asks for, and takes None,
or a list of anything, where text or numbers belong. So files are read and merged here.
"""

import ast
import difflib
import math
import os
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simplevtr.config import LIST_ITEMS
from simplevtr.terminal import one_line

import yaml
from detectron2.config import CfgNode

BASE = "_BASE_"
_TAGS = "tag:yaml.org,2002:"
_OTHER_BASE = rf"{_TAGS}(int[-+]?0[0-9_]+|(int|float).*:.*)"
_MOST_BYTES = 2**20  # no config comes near; a video given by mistake is not read whole
_KINDS = {
    bool: "True or False",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    CfgNode: "a group of keys",
    type(None): "a number or nothing",
}
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 60


class _PlainLoader(yaml.SafeLoader):
    """YAML's plain types; errors have their place, and a key may not be given twice."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        # YAML 1.1 takes 010 for 8 and 1:30 for 90.
        if isinstance(node, yaml.ScalarNode) and re.fullmatch(_OTHER_BASE, node.tag + node.value):
            problem = f"{node.value} may be a number of another base; write it in decimal digits"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            tag = node.tag.replace(_TAGS, "!!")
            problem = f"the value is not of the type {tag} that it has: {error}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from error

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                line = key.start_mark.line + 1
                if lines.setdefault(key.value, line) != line:
                    first = lines[key.value]
                    problem = f"{key.value!r} stands twice in one group, first in line {first}"
                    raise yaml.composer.ComposerError(None, None, problem, key.start_mark)
        return node


def find_shipped(path: str | os.PathLike[str]) -> Path:
    """The file at ``path``; if there is none, ours of that name, such as configs/davis/clips.yaml.

    A clone has the folders ``configs`` and ``demo`` beside the package, the wheel inside it.
    """
    path, package = Path(path), Path(__file__).parent
    if not path.exists() and path.parts[:1] in (("configs",), ("demo",)):
        ours = (root / path for root in (package, package.parent))
        return next((file for file in ours if file.is_file()), path)
    return path


def read_yaml(path: str | os.PathLike[str], what: str = "config file") -> Any:
    """The content of a YAML file of plain values; tags that name Python objects are refused.

    FileNotFoundError: there is no such file, which should be ``what``. ValueError: it cannot be
    read; the message has one line, with the place.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{what} {path} is a folder; a YAML file is needed")
    if not path.is_file():
        raise FileNotFoundError(f"{what} {path} does not exist")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    try:
        return _parsed(content.decode("utf-8-sig"), path, what)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: is not text in UTF-8: {error}") from error


def _parsed(text: str | bytes, path: str | Path, what: str) -> Any:
    if len(text) > _MOST_BYTES:
        raise ValueError(f"{path}: has more than {_MOST_BYTES} bytes; it is not a {what}")
    try:
        return yaml.load(text, _PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{path}: {place}{_problem(error)}") from error
    except RecursionError as error:
        raise ValueError(f"{path}: is nested too deep") from error
    except yaml.YAMLError as error:  # characters that are not text
        raise ValueError(f"{path}: not valid YAML: {one_line(error)}") from error


def _problem(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's message in a line; why tags are refused."""
    problem = one_line(error.problem or error)
    if isinstance(error, yaml.constructor.ConstructorError) and "the tag " in problem:
        tag = problem.partition("the tag ")[2].strip("'").replace(_TAGS, "!!")
        return f"the tag {tag} could run code; allowed are plain text, numbers, lists and groups"
    if "\\t" in problem:
        return "a tab; YAML is indented by blanks"
    context = f" ({one_line(error.context)})" if error.context else ""
    return f"not valid YAML: {problem}{context}"


def merge_file(cfg: CfgNode, path: str | os.PathLike[str], above: Sequence[Path] = ()) -> None:
    """Merge a YAML file into ``cfg``, in place, after the files that its ``_BASE_`` names.

    ``_BASE_`` is one path or a list of them, relative to the file; ``above`` are the files by whose
    ``_BASE_`` this one is read. FileNotFoundError: one of them does not exist. ValueError: one of
    them cannot be read, names a key that does not exist, or has a value of another type; the
    message has one line: the file, the place, what is allowed.
    """
    path = Path(path)
    by = f" ({BASE} of {above[-1]})" if above else ""
    if any(path.resolve() == other.resolve() for other in above):
        raise ValueError(f"{above[-1]}: {BASE}: {path} builds on itself")
    content = read_yaml(path, f"config file{by}")
    if not isinstance(content, dict):
        lazy = "; Python configs (LazyConfig) are not read" if path.suffix == ".py" else ""
        found = "nothing" if content is None else _KINDS.get(type(content), "a value")
        raise ValueError(f"{path}: holds {found}; groups of config keys are needed{lazy}")
    bases = content.pop(BASE, [])
    for base in bases if isinstance(bases, list) else [bases]:
        if not isinstance(base, str) or not base or "://" in base:
            needed = "the path of a file, or a list of them, is needed"
            raise ValueError(f"{path}: {BASE}: {_SHORT.repr(base)}; {needed}")
        merge_file(cfg, path.parent / os.path.expanduser(base), (*above, path))
    try:
        _merge_group(cfg, content, "", cfg)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def parse_config(text: str, source: str) -> dict[str, Any]:
    """The groups in the YAML of a whole config; ValueError, naming ``source``, if it is not one."""
    content = _parsed(text, source, "config")
    if not isinstance(content, dict):
        raise ValueError(f"{source}: groups of config keys are needed")
    return content


def merge_text(cfg: CfgNode, text: str, source: str) -> None:
    """Merge the YAML of a whole config, which names no other, into ``cfg``, in place.

    ValueError as of ``merge_file``; the message begins with ``source``.
    """
    content = parse_config(text, source)
    try:
        _merge_group(cfg, content, "", cfg)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def merge_words(cfg: CfgNode, words: Sequence[str]) -> None:
    """Merge KEY VALUE words of a command line into ``cfg``; ValueError where it is not allowed."""
    if late := next((word for word in words[::2] if word.startswith("--")), None):
        raise ValueError(f"command line: {late} must stand before the KEY VALUE pairs")
    if len(words) % 2:
        raise ValueError(f"options come as KEY VALUE pairs, got {len(words)} words: {list(words)}")
    for key, value in zip(words[::2], words[1::2], strict=True):
        prefix, dot, name = key.rpartition(".")
        node: Any = cfg
        for group in prefix.split(".") if dot else ():
            node = node.get(group) if isinstance(node, CfgNode) else None
        try:
            if not isinstance(node, CfgNode):
                raise _unknown(key, cfg)
            _merge_group(node, {name: value}, prefix + dot, cfg)
        except ValueError as error:
            raise ValueError(f"command line: {error}") from error


def _merge_group(node: CfgNode, content: dict[Any, Any], prefix: str, cfg: CfgNode) -> None:
    for name, value in content.items():
        key = f"{prefix}{name}"
        if cfg.key_is_deprecated(key):  # of an earlier version, as a run's saved config may have
            continue
        if name not in node and not node.is_new_allowed():
            raise _unknown(key, cfg)
        if name not in node:  # an open group, such as MODEL.TIMM.OPTIONS: of any plain type
            node[name] = _literal(value, None)
        elif isinstance(node[name], CfgNode) and isinstance(value, dict):
            _merge_group(node[name], value, f"{key}.", cfg)
        else:
            node[name] = _fitted(_literal(value, node[name]), node[name], key)


def _literal(value: Any, default: Any) -> Any:
    """Text -> the Python value it spells, such as ``(300,)`` or ``1e-4``, unless text is wanted."""
    if not isinstance(value, str):
        return value
    try:
        spelt = ast.literal_eval(value)  # literals alone: nothing is called
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return value
    return value if isinstance(default, str) and not isinstance(spelt, str) else spelt


def _fitted(value: Any, default: Any, key: str) -> Any:
    """``value`` in the type of ``default``: whole numbers as float, a list as tuple."""
    wanted = type(default)
    if isinstance(default, list | tuple) and isinstance(value, list | tuple):
        return wanted(_fitted_items(value, LIST_ITEMS.get(key, list(default)), key))
    if default is None:  # detectron2's only key of this kind is a number
        return None if value is None else _fitted(value, 0.0, key)
    if type(value) is float and not math.isfinite(value):
        raise ValueError(f"{key}: {value}; a finite number is needed")
    if type(value) is int and abs(value) >= 2**63:
        raise ValueError(f"{key}: {_SHORT.repr(value)}; a whole number below 2**63 is needed")
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is wanted:
        return value
    raise ValueError(f"{key}: {_SHORT.repr(value)}; {_KINDS[wanted]} is needed")


def _fitted_items(values: Sequence[Any], example: Sequence[Any], key: str) -> list[Any]:
    """Items like the first of a list ``example``, or one by one like those of a tuple."""
    if not example:
        return list(values)
    if isinstance(example, list):
        example = example[:1] * len(values)
    elif len(values) != len(example):
        raise ValueError(
            f"{key}: {_SHORT.repr(values)} has {len(values)} entries; {len(example)} are needed"
        )
    result = []
    for index, (value, like) in enumerate(zip(values, example, strict=True)):
        nested = isinstance(like, list | tuple) and isinstance(value, list | tuple)
        result.append((_fitted_items if nested else _fitted)(value, like, f"{key}[{index}]"))
    return result


def _unknown(key: str, cfg: CfgNode) -> ValueError:
    known = flat(cfg)
    nearest = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    hint = f"; did you mean {' or '.join(nearest)}?" if nearest else ""
    if any(f"{name}.".startswith(f"{key}.") for name in known):
        hint = f" as one name with dots: write {key.replace('.', ': {')}: ...{'}' * key.count('.')}"
    return ValueError(f"the config key {one_line(key)} does not exist{hint}")


def flat(node: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """The values of nested groups by their whole keys, such as "SOLVER.BASE_LR"."""
    result: dict[str, Any] = {}
    for name, value in node.items():
        group = isinstance(value, dict)
        result |= flat(value, f"{prefix}{name}.") if group else {prefix + name: value}
    return result
