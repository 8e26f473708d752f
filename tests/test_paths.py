import unicodedata
from pathlib import Path

from simplevtr.formats.paths import below, existing, leads_out, natural_key

import pytest


def test_natural_order():
    names = ["f10", "f9", "f1a", "F2", "f1", "f01", "g", "10", "9", "f" + "0" * 9000 + "3"]
    ordered = ["9", "10", "f01", "f1", "f1a", "F2", names[-1], "f9", "f10", "g"]
    assert sorted(names, key=natural_key) == ordered
    assert sorted(names[::-1], key=natural_key) == ordered


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "\\a", "..\\a", "C:\\a", "c:/a"])
def test_names_that_lead_elsewhere_are_refused(name):
    assert leads_out(name)
    with pytest.raises(ValueError, match=r"file name .*; a relative path below root is needed"):
        below("root", name)


@pytest.mark.parametrize("name", ["", ".", "a/..", None, 3, "a\nb", "a\0", "\ud800"])
def test_what_is_not_a_file_name_is_refused(name):
    with pytest.raises(ValueError, match="file name"):
        below("root", name)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("a\\b c.jpg", "root/a/b c.jpg"),
        ("./a//b.jpg", "root/a/b.jpg"),
        ("a/../b.jpg", "root/b.jpg"),
        ("..a/12:30:01.jpg", "root/..a/12:30:01.jpg"),
        ("é\u202f1.png", "root/é\u202f1.png"),
    ],
)
def test_names_below_a_folder(name, path):
    assert below("root", name) == Path(path)


@pytest.mark.parametrize(("written", "asked"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_either_spelling_of_accents_is_found(tmp_path, monkeypatch, written, asked):
    path = Path(unicodedata.normalize(written, "Müllers é/frame ñ.jpg"))
    (tmp_path / path).parent.mkdir()
    (tmp_path / path).touch()
    wanted = unicodedata.normalize(asked, str(path))
    assert wanted != str(path)
    assert existing(tmp_path / wanted) == tmp_path / path
    monkeypatch.chdir(tmp_path)
    assert existing(wanted) == path
    mixed = Path(wanted).parent / path.name
    assert existing(mixed) == path
    assert existing("Müller/ñ.jpg") == Path("Müller/ñ.jpg")  # there is none
