"""Reading JSON: one value whichever decoder reads it."""

import gzip
import json
import math

from simplevtr.formats.files import read_json, write_json

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
