"""JSON files of tests: written, changed, and what changes them."""

import json
from pathlib import Path


def save_json(path, content):
    """Write a file; returns its path as text."""
    Path(path).write_text(json.dumps(content))
    return str(path)


def edit_json(source, edit, target=None):
    """Change the content of a file, in place or for another file; returns the path as text."""
    content = json.loads(Path(source).read_text())
    edit(content)
    return save_json(target or source, content)


def all_crowds(content):
    """A change: every annotation is a crowd."""
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1


def change(path, value):
    """A change of content: the value at a path of keys."""

    def apply(content):
        *parents, last = path
        for key in parents:
            content = content[key]
        content[last] = value

    return apply
