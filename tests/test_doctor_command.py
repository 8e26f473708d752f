"""``simplevtr doctor``: options, exit status and files."""

import errno
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import simplevtr.data.build  # noqa: F401 - which a test imports once more
from simplevtr.commands import doctor
from simplevtr.commands.doctor import CLEAN, DEFECTIVE, main
from simplevtr.formats.files import read_json
from simplevtr.terminal import USAGE_ERROR
from simplevtr.toolbox.doctor import DEFECTS

import pytest
from conftest import ROOT, check_refused
from detectron2.data import DatasetCatalog, MetadataCatalog
from doctor_breaks import appended, area, both, mask
from doctor_samples import make_good, read
from json_files import all_crowds, edit_json
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    return make_good(tmp_path)


@pytest.fixture
def broken(folder):
    """The path of a file with two wrong areas and a category that is not used."""
    change = both(area(3), area(3, 2), appended("categories", {"id": 3, "name": "cow"}))
    return edit_json(folder.json_file, change, Path(folder.json_file).with_name("broken.json"))


def test_clean(folder, capsys):
    assert main([folder.json_file, "--images", folder.image_root]) == CLEAN == 0
    out = capsys.readouterr().out
    assert "3 videos, 12 frames, 6 tracks, 21 masks, 2 categories\nlooked for 12 images in" in out
    assert out.endswith("\nno defects\n")


def test_table(broken, capsys):
    assert main([broken, "--examples", "1"]) == DEFECTIVE == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split() == ["defect", "severity", "count", "first", "examples"]
    unused = "category 3: 'cow' has no annotation"
    assert re.split("  +", lines[4]) == ["unused-category", "warning", "1", unused]
    wrong = "video 1, annotation 1, frame 1: the area is 3, the mask has 336 pixels"
    assert re.split("  +", lines[5]) == ["wrong-area", "error", "2", wrong]
    assert lines[-1] == ("2 errors and 1 warning; 12 frames were not looked at (--images ROOT)")


def test_warnings_alone_are_defects_unless_ignored(broken, capsys):
    assert main([broken, "--ignore", "wrong-area"]) == DEFECTIVE
    assert "\n0 errors and 1 warning; 12 frames" in capsys.readouterr().out
    assert main([broken, "--ignore", "wrong-area", "unused-category"]) == CLEAN


def test_fix_and_report(broken, folder, tmp_path, capsys):
    before = Path(broken).read_bytes()
    out, report = tmp_path / "new" / "fixed.json", tmp_path / "report.json"
    assert main([broken, "--fix", str(out), "--json", str(report)]) == DEFECTIVE
    assert Path(broken).read_bytes() == before
    fixed = read_json(out)
    assert fixed["annotations"] == read(folder)["annotations"]
    assert "        2  areas were computed from the masks\n" in capsys.readouterr().out
    content = read_json(report)
    assert content["file"] == broken
    assert (content["errors"], content["warnings"]) == (2, 1)
    unused, wrong = content["defects"]
    assert (wrong["name"], wrong["severity"], wrong["count"]) == ("wrong-area", "error", 2)
    assert wrong["examples"][0] == {
        "entry": "annotations[0]", "video": 1, "annotation": 1, "frame": 1,
        "detail": "the area is 3, the mask has 336 pixels",
    }  # fmt: skip
    assert unused["name"] == "unused-category"
    assert content["repaired"] == {
        "file": str(out),
        "repairs": {"areas were computed from the masks": 2},
        "left": {"unused-category": 1},
    }
    assert main([str(out), "--ignore", "unused-category"]) == CLEAN


def test_nothing_is_overwritten_unasked(broken, tmp_path, capsys):
    out = tmp_path / "out.json"
    out.write_text("mine")
    for option in ("--fix", "--json"):
        assert main([broken, option, str(out)]) == USAGE_ERROR
        assert "exists already" in capsys.readouterr().err
        assert out.read_text() == "mine"
        assert main([broken, option, str(out), "--overwrite"]) == DEFECTIVE
        assert out.read_text() != "mine"
        out.write_text("mine")
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_is_never_repaired_in_place(broken, tmp_path, capsys):
    before, link = Path(broken).read_bytes(), tmp_path / "link.json"
    link.symlink_to(broken)
    for target in (broken, str(link)):
        assert main([broken, "--fix", target, "--overwrite"]) == USAGE_ERROR
        assert "is an input of this command" in capsys.readouterr().err
    assert Path(broken).read_bytes() == before


def test_another_split_is_never_replaced(broken, folder, tmp_path, capsys):
    other = tmp_path / "valid/instances.json"  # where archives unpack
    other.parent.mkdir()
    content = Path(folder.json_file).read_bytes()
    other.write_bytes(content)
    words = ["--against", str(tmp_path / "valid.json"), "--overwrite"]
    for option in ("--fix", "--json"):
        assert main([broken, *words, option, str(other)]) == USAGE_ERROR
        assert "valid/instances.json is an input of this command" in capsys.readouterr().err
    assert other.read_bytes() == content


def test_a_copy_of_which_nothing_is_left_is_not_written(folder, tmp_path, capsys):
    edit_json(
        folder.json_file, lambda content: [video.update(height=0) for video in content["videos"]]
    )
    out, report = tmp_path / "out.json", tmp_path / "report.json"
    assert main([folder.json_file, "--fix", str(out), "--json", str(report)]) == DEFECTIVE
    assert "nothing would be left" in capsys.readouterr().out
    assert not out.exists()
    assert read_json(report)["repaired"]["file"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.json"], "annotation file missing.json does not exist"),
        (["{good}", "--images", "missing"], "image root missing is not a folder"),
        (["{good}", "--contact-sheet", "sheets"], "add --images ROOT"),
        (["{good}", "--max-videos", "2"], "add --contact-sheet FOLDER"),
        (["{good}", "--ignore", "bad-mask"], "makes a file unusable"),
        (["{good}", "--against", "{good}"], "is the file that is examined"),
        (["{good}", "--against", "missing.json"], "missing.json does not exist"),
        (["{good}", "--against", "{good}", "--against-images", "a", "b"], "2 folders for 1 files"),
        (["{good}", "--against-images", "a"], "it needs --against"),
        (["{good}", "--crowds"], "add --fix OUT"),
        (["{good}", "--fix", "o.json", "--json", "o.json"], "--fix and --json both name o.json"),
        (["no_such_dataset"], "no file no_such_dataset, and 'no_such_dataset' is not a reg"),
    ],
)
def test_errors_are_one_line(arguments, message, folder, call):
    arguments = [a.replace("{good}", folder.json_file) for a in arguments]
    check_refused(call(doctor, *arguments), message)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--examples", "21"], "21 was given; it must be at least 1 and at most 20"),
        (["--images", "a", "--no-images"], "not allowed with argument --images"),
    ],
)
def test_options_that_would_not_be_heeded_are_refused(options, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["a.json", *options])
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 100_000, "not valid JSON"),
        ("[]", "holds a list"),
        ('{"images": [], "categories": []}', "is it a COCO file of single images?"),
        (
            '{"images": [{"id": 1, "video_id": 1}], "videos": [{"id": 1}], "categories": []}',
            "images are frames of videos; to make a YouTube-VIS file of it: python "
            "tools/import_dataset.py coco-tracks",
        ),
    ],
    ids=range(4),
)
def test_files_of_another_kind_cannot_be_read(text, message, tmp_path, capsys):
    path = tmp_path / "a.json"
    path.write_text(text)
    assert main([str(path)]) == USAGE_ERROR
    assert message in capsys.readouterr().err


def test_archives_are_found_as_they_unpack(folder, tmp_path, capsys):
    unpacked = tmp_path / "train" / "instances.json"
    Path(folder.json_file).rename(unpacked)
    assert main([str(unpacked)]) == CLEAN
    assert main([folder.json_file]) == CLEAN  # "train.json"
    assert f"{unpacked}: 3 videos" in capsys.readouterr().out


def test_a_file_of_crowds_says_so_and_how_to_make_objects_of_them(folder, tmp_path, capsys):
    edit_json(folder.json_file, all_crowds)
    fixed = tmp_path / "fixed.json"
    assert main([folder.json_file, "--fix", str(fixed)]) == DEFECTIVE
    out = capsys.readouterr().out
    assert "all 6 annotations of the file are crowds: nothing of it is trained on" in out
    assert "import again with --crowds" in out
    assert [a["iscrowd"] for a in read_json(fixed)["annotations"]] == [1] * 6
    command = [folder.json_file, "--fix", str(fixed), "--overwrite", "--crowds"]
    assert main(command) == DEFECTIVE
    assert "        6  crowds became objects\nno defects are left" in capsys.readouterr().out
    assert [a["iscrowd"] for a in read_json(fixed)["annotations"]] == [0] * 6
    assert main([str(fixed)]) == CLEAN


def test_thousands_of_categories_without_an_annotation_are_one_line(folder, capsys):
    things = [{"id": i, "name": f"thing {i}"} for i in range(3, 5000)]
    edit_json(folder.json_file, lambda content: content["categories"].extend(things))
    assert main([folder.json_file]) == DEFECTIVE
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 10
    (line,) = (line for line in lines if line.startswith("unused-category"))
    assert "4,997 of 4,999 categories have no annotation: 'thing 3', 'thing 4', " in line
    assert lines[-1].startswith("0 errors and 1 warning;")


def test_numbers_that_json_does_not_know_are_told_by_their_place(folder, capsys):
    text = Path(folder.json_file).read_text()
    text = text.replace('"areas": [336,', '"areas": [NaN,', 1)
    first, height, others = text.partition('"height": 48')
    others = others.replace(height, '"height": Infinity', 1)  # of the second video
    Path(folder.json_file).write_text(first + height + others)
    assert main([folder.json_file]) == DEFECTIVE
    out = capsys.readouterr().out
    assert re.search(r"non-finite +error +2", out)
    assert "video 2: height must be an integer of 1 or more, got inf" in out


def test_registered_name_with_its_images(folder, tmp_path, capsys):
    config = tmp_path / "config.yaml"
    custom = json.dumps([["doctored", folder.json_file, folder.image_root]])
    config.write_text(f"DATASETS:\n  CUSTOM: {custom}\n  TRAIN: []\n  TEST: []\n")
    assert main(["doctored", "--config-file", str(config)]) == CLEAN
    assert "12 images in" in capsys.readouterr().out
    assert main(["doctored", "--config-file", str(config), "--no-images"]) == CLEAN
    assert "12 frames were not looked at" in capsys.readouterr().out


def test_against(folder, tmp_path, capsys):
    other = make_good(tmp_path, split="valid")
    command = [folder.json_file, "--against", other.json_file]
    assert main(command) == DEFECTIVE
    assert "leaked-file" in capsys.readouterr().out
    report = tmp_path / "report.json"
    fix = ["--fix", str(tmp_path / "fixed.json"), "--json", str(report)]
    assert main([*command, *fix]) == DEFECTIVE
    assert re.search("nothing can be repaired\nleft in it:\n +3  leaked-f", capsys.readouterr().out)
    assert json.loads(report.read_text())["repaired"]["left"] == {"leaked-file": 3}
    command += ["--images", folder.image_root, "--against-images", other.image_root]
    assert main(command) == DEFECTIVE
    assert "leaked-frame" in capsys.readouterr().out


def test_contact_sheets(folder, tmp_path, capsys):
    sheets = tmp_path / "sheets"
    command = [folder.json_file, "--images", folder.image_root, "--contact-sheet", str(sheets)]
    assert main([*command, "--max-videos", "2"]) == CLEAN
    assert sorted(path.name for path in sheets.iterdir()) == ["1.png", "2.png"]
    with Image.open(sheets / "1.png") as picture:
        assert picture.width > 4 * 180
        assert len(picture.getcolors(2**16)) > 4  # the frames are of three colours
    assert main(command) == USAGE_ERROR
    assert "exists already" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == CLEAN
    assert len(list(sheets.iterdir())) == 3


def test_a_full_disk_leaves_no_half_contact_sheet(folder, tmp_path, capsys, monkeypatch):
    def full(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    sheets = tmp_path / "sheets"
    command = [folder.json_file, "--images", folder.image_root, "--contact-sheet", str(sheets)]
    assert main(command) == USAGE_ERROR
    assert f"No space left on device: '{sheets / '1.png'}'" in capsys.readouterr().err
    assert not [*sheets.iterdir()]


def test_contact_sheets_do_not_replace_frames(folder, tmp_path, capsys):
    root = Path(folder.image_root)
    (root / "video1/00000.jpg").rename(root / "1.png")
    edit_json(folder.json_file, lambda c: c["videos"][0]["file_names"].__setitem__(0, "1.png"))
    before = (root / "1.png").read_bytes()
    sheets = ["--contact-sheet", str(root), "--overwrite"]
    assert main([folder.json_file, "--images", str(root), *sheets]) == USAGE_ERROR
    assert "1.png: is a frame; choose another folder" in capsys.readouterr().err
    assert (root / "1.png").read_bytes() == before


def test_a_contact_sheet_of_a_broken_file_shows_what_is_good(folder, tmp_path, caplog):
    edit_json(folder.json_file, mask("bad"))
    (Path(folder.image_root) / "video1/00002.jpg").unlink()
    cut = Path(folder.image_root) / "video2/00002.jpg"
    cut.write_bytes(cut.read_bytes()[:-300])  # which headers do not tell
    sheets = tmp_path / "sheets"
    command = [folder.json_file, "--images", folder.image_root, "--contact-sheet", str(sheets)]
    command.append("--no-decode")
    assert main(command) == DEFECTIVE
    assert sorted(path.name for path in sheets.iterdir()) == ["1.png", "3.png"]
    assert "No contact sheet of video 2" in caplog.text


def test_list_names_all_defects(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--list"])
    out = capsys.readouterr().out
    assert all(name in out for name in DEFECTS)


def test_it_starts_without_torch_and_detectron2(folder, tmp_path):
    # Stand-ins that cannot be imported.
    for name in ("torch", "detectron2"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('too slow')")
    done = subprocess.run(
        [sys.executable, "-m", "simplevtr", "doctor", folder.json_file],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (CLEAN, "")
    assert "\nno defects; 12 frames were not looked at" in done.stdout


def test_a_bare_import_is_fast():
    code = "import sys, simplevtr.data; sys.exit(bool({'torch', 'detectron2'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_loaders_register_the_builtin_data_sets(monkeypatch):
    for catalog in (DatasetCatalog, MetadataCatalog):
        monkeypatch.setattr(catalog, "data", {})
    for name in ("build", "builtin"):
        monkeypatch.delitem(sys.modules, f"simplevtr.data.{name}")
        monkeypatch.delattr(f"simplevtr.data.{name}")
    importlib.import_module("simplevtr.data.build")
    assert "ytvis_2019_train" in DatasetCatalog
