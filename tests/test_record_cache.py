import os

from simplevtr.data import ytvis
from simplevtr.data.build import build_train_loader, epoch_length
from simplevtr.data.class_names import settle_classes
from simplevtr.data.record_cache import forget_files, read_once
from simplevtr.data.ytvis import load_ytvis_json, register_ytvis

import pytest
from ytvis_folder import loader_cfg, make_ytvis_folder

NAME = "record_cache_test"


@pytest.fixture
def parsed(monkeypatch):
    """The names of the JSON files that are parsed from here on."""
    names = []
    read = ytvis.read_annotations
    monkeypatch.setattr(ytvis, "read_annotations", lambda path: names.append(path) or read(path))
    return names


def test_a_start_of_training_parses_the_file_once(tmp_path, parsed):
    folder = make_ytvis_folder(tmp_path, videos=2)
    register_ytvis(NAME, *folder)
    cfg = loader_cfg(NAME, **{"DATASETS.TEST": (NAME,), "MODEL.SIMPLEVTR.NUM_CLASSES": 2})
    settle_classes(cfg, train=True)
    assert epoch_length(cfg) == 4
    build_train_loader(cfg)
    assert parsed == [folder.json_file]
    epoch_length(cfg)  # the loader has its own copy: the memory was given back
    assert len(parsed) == 2


def test_a_changed_file_is_read_again(tmp_path, parsed):
    folder = make_ytvis_folder(tmp_path, videos=1)
    before = load_ytvis_json(*folder)
    assert load_ytvis_json(*folder) == before
    assert len(parsed) == 1
    found = os.stat(folder.json_file)
    os.utime(folder.json_file, ns=(found.st_atime_ns, found.st_mtime_ns + 1))
    load_ytvis_json(*folder)
    assert len(parsed) == 2
    make_ytvis_folder(tmp_path, videos=2)
    assert len(load_ytvis_json(*folder)) == 2
    assert len(parsed) == 3


def test_records_belong_to_the_caller(tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1)
    first = load_ytvis_json(*folder)
    first[0]["annotations"][1][0]["category_id"] = 99
    first[0]["annotations"].clear()
    assert load_ytvis_json(*folder)[0]["annotations"][1][0]["category_id"] == 0
    os.unlink(first[0]["file_names"][0])  # frames are looked for each time
    with pytest.raises(FileNotFoundError, match=r"video1/00000\.jpg"):
        load_ytvis_json(*folder)


def test_read_once(tmp_path):
    path = tmp_path / "a"
    path.write_text("a")
    results = iter(range(100))

    def read(_):
        return next(results)

    with pytest.raises(ZeroDivisionError):  # errors are not remembered
        read_once(path, lambda _: 1 / 0)
    assert [read_once(path, read), read_once(path, read)] == [0, 0]
    forget_files()
    assert read_once(path, read) == 1
    assert read_once(tmp_path / "missing", read) == 2  # what to say about it is up to the reader
    path.write_text("ab")
    assert read_once(path, read) == 3


def test_few_files_are_kept(tmp_path):
    calls = []

    def read(path):
        calls.append(path[-1])

    for name in "abcdef":
        (tmp_path / name).touch()
    for name in "abcdeffa":
        read_once(tmp_path / name, read)
    assert calls == [*"abcdef", "a"]
