"""Reading JSON: one value whichever decoder reads it."""

import errno
import gzip
import json
import math
import os
from pathlib import Path

from simplevtr.formats.files import (
    check_output,
    read_json,
    refuse_existing,
    refuse_replaced_frames,
    write_json,
)

import pytest


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1, -2.5, 1e3, true, null, "\\u00e9\\ud83d\\ude00"], "b": {}}',
        '{"a": 123456789012345678901234567890}',
        '{"a": 1e400}',  # infinite
        '{"a": "\\ud800"}',  # half a character, which only the slow decoder takes
        '{"a": 1, "a": 2}',
        '{"annotations": {"b": 1}, "videos": 3}',
        '{"annotations": [1, "a", {"id": 1}], "videos": [[]]}',
        "[1, 2]",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_values_are_those_of_the_standard_decoder(text, encoding, tmp_path):
    (tmp_path / "a.json").write_text(text, encoding=encoding)
    expected = json.loads(text)
    content = read_json(tmp_path / "a.json")
    assert content == expected
    assert [*content] == [*expected]  # in the file's order


def test_a_name_in_gz_is_packed(tmp_path):
    write_json(tmp_path / "a.json.gz", [1, 2])
    with gzip.open(tmp_path / "a.json.gz") as file:
        assert file.read() == b"[1,2]"
    assert read_json(tmp_path / "a.json.gz") == [1, 2]


def test_nan_is_read_and_what_is_not_json_is_not(tmp_path):
    (tmp_path / "nan.json").write_text('{"annotations": [{"id": NaN}, {"id": -Infinity}]}')
    first, second = read_json(tmp_path / "nan.json")["annotations"]
    assert math.isnan(first["id"])
    assert second["id"] == -math.inf
    for text in ('{"annotations": [{"id": nan}]}', '{"annotations": [{"id": "\\x"}]}', '{"a": 1'):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json: not valid JSON: .*char \d+"):
            read_json(tmp_path / "bad.json")


@pytest.mark.parametrize("letter", ["a", "猫", "😀"])
def test_names_may_be_as_long_as_the_disk_allows(letter, tmp_path):
    most = 255 // len(letter.encode())
    path = tmp_path / "new" / (letter * most)
    write_json(path, [1])
    assert read_json(path) == [1]
    assert [*path.parent.iterdir()] == [path]
    for folder in ("new", "newer"):
        with pytest.raises(OSError, match="name too long"):
            refuse_existing(tmp_path / folder / (letter * (most + 1)), overwrite=False)


@pytest.mark.parametrize("target", ["there.json", "nowhere/new.json"])
def test_what_a_link_leads_to_is_replaced(target, tmp_path):
    (tmp_path / "there.json").write_text("[]")
    (tmp_path / "link.json").symlink_to(target)
    with pytest.raises(FileExistsError, match="link.json exists already"):
        write_json(tmp_path / "link.json", [1])
    write_json(tmp_path / "link.json", [1], overwrite=True)
    assert (tmp_path / "link.json").is_symlink()
    assert read_json(tmp_path / target) == [1]


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.json'"):
        write_json(tmp_path / "a.json", [1])


def test_a_folder_may_be_in_one_that_is_read_only(tmp_path, monkeypatch):
    (tmp_path / "disk").mkdir()
    real = os.path.realpath
    monkeypatch.setattr("os.access", lambda path, _: real(path) == real(tmp_path / "disk"))
    assert check_output(tmp_path / "disk", suffixes=("",)) == tmp_path / "disk"
    refuse_existing(tmp_path / "disk/a.json", overwrite=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="disk allows no new files"):
        check_output(tmp_path / "disk", suffixes=("",))


def test_a_frame_that_is_a_link_to_itself_is_in_no_pictures_place(tmp_path):
    frame, picture = tmp_path / "0.jpg", tmp_path / "0.png"
    frame.symlink_to(frame.name)
    picture.touch()
    refuse_replaced_frames([picture], [frame])
    with pytest.raises(ValueError, match="0.png: is a frame"):
        refuse_replaced_frames([picture], [frame, picture])
