"""The Cell Tracking Challenge: marks, whole cells, lives of tracks, and 16-bit frames."""

import json
from functools import partial

from simplevtr.commands.doctor import main as doctor
from simplevtr.commands.import_dataset import main
from simplevtr.toolbox.importing import read_dataset
from simplevtr.toolbox.importing.output import write_ytvis

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (40, 50)
TRACKS = "1 0 1 0\n2 0 2 0\n3 2 2 1\n"
read = partial(read_dataset, "ctc")


def picture(*boxes):
    """Numbers in boxes (number, top, left, height, width)."""
    pixels = np.zeros(SIZE, np.uint16)
    for number, top, left, height, width in boxes:
        pixels[top : top + height, left : left + width] = number
    return pixels


MARKS = [
    picture((1, 5, 5, 4, 4), (2, 20, 30, 4, 4)),
    picture((1, 6, 6, 4, 4), (2, 21, 30, 4, 4)),
    picture((3, 7, 7, 4, 4), (2, 22, 30, 4, 4)),
]
# Other numbers; 9 covers less than a half of mark 2, and 8 has no mark.
CELLS = picture((7, 2, 2, 12, 12), (9, 22, 29, 12, 3), (8, 35, 2, 3, 3))


def levels(t):
    """Frames in which few pixels are very bright and very dark, and 200 to 1200 are all others."""
    pixels = np.linspace(200, 1200, SIZE[0] * SIZE[1]).reshape(SIZE).astype(np.uint16)
    pixels[0, 0], pixels[0, 1] = 60000, 0
    return pixels + np.uint16(t)


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "Fluo"
    (root / "01").mkdir(parents=True)
    for name in ("01_GT/TRA", "01_GT/SEG", "01_ST/SEG"):
        (root / name).mkdir(parents=True)
    for t, marks in enumerate(MARKS):
        Image.fromarray(levels(t)).save(root / f"01/t{t:03d}.tif")
        path = root / f"01_GT/TRA/man_track{t:03d}.tif"
        Image.fromarray(marks).save(path, compression="tiff_lzw")
        Image.fromarray(marks).save(root / f"01_ST/SEG/man_seg{t:03d}.tif")
    Image.fromarray(CELLS).save(root / "01_GT/SEG/man_seg001.tif")
    (root / "01_GT/TRA/man_track.txt").write_text(TRACKS)
    return root


def masks_of(dataset):
    """By track and frame."""
    (video,) = dataset.videos
    return [
        {t: coco_mask.decode(mask).astype(bool) for t, mask in track.masks.items()}
        for track in video.tracks
    ]


def numbered(number, *frames):
    return {t: MARKS[t] == number for t in frames}


def assert_masks(found, expected):
    assert [sorted(track) for track in found] == [sorted(track) for track in expected]
    for own, wanted in zip(found, expected, strict=True):
        assert all((own[t] == wanted[t]).all() for t in wanted)


@pytest.mark.parametrize("below", ["", "01_GT"])
def test_marks(tmp_path, source, below):
    dataset = read(source / below, masks="tra", write_frames=tmp_path / "png")
    expected = [numbered(1, 0, 1), numbered(2, 0, 1, 2), numbered(3, 2)]
    assert_masks(masks_of(dataset), expected)
    assert dataset.videos[0].file_names == [f"01/t{t:03d}.png" for t in range(3)]
    assert dataset.categories == [(1, "cell")]
    assert dataset.notes["tracks with a parent, imported as tracks of their own"] == 1
    assert not dataset.notes["masks missing in frames in which a track lives, taken as absent"]
    (source / "02").mkdir()
    other = read(source / below, masks="tra", write_frames=tmp_path / "again")
    assert other.notes["sequences without true tracks left out"] == 1
    assert_masks(masks_of(read(source, masks="st", write_frames=tmp_path / "png")), expected)


def test_whole_cells_go_to_the_track_whose_mark_they_cover(tmp_path, source):
    dataset = read(source, write_frames=tmp_path / "png")
    expected = [numbered(1, 0, 1), numbered(2, 0, 1, 2), numbered(3, 2)]
    expected[0][1] = CELLS == 7
    assert_masks(masks_of(dataset), expected)
    assert dataset.notes["whole cells of no single track left out"] == 2
    assert dataset.notes["frames with marks of cells alone (see --masks)"] == 2
    spots = "marks without a whole cell in frames with whole cells (see --masks)"
    assert dataset.notes[spots] == 1
    only = read(source, masks="seg", write_frames=tmp_path / "png")
    assert_masks(masks_of(only), [{0: CELLS == 7}])
    assert only.videos[0].file_names == ["01/t001.png"]
    assert only.notes["frames without a picture of masks left out"] == 2
    assert only.notes["tracks of man_track.txt without a mask"] == 2
    assert not only.notes[spots]


@pytest.mark.parametrize("lives", [TRACKS.replace("1 0 1", "1 0 2"), TRACKS + "4 0 2 0\n"])
def test_lives_without_marks_are_counted(tmp_path, source, lives):
    (source / "01_GT/TRA/man_track.txt").write_text(lives)
    notes = read(source, masks="tra", write_frames=tmp_path / "png").notes
    absent = notes["masks missing in frames in which a track lives, taken as absent"]
    without = notes["tracks of man_track.txt without a mask"]
    assert (absent, without) == ((0, 1) if "4" in lives else (1, 0))


def test_a_cell_over_two_marks_is_of_neither(tmp_path, source):
    Image.fromarray(picture((5, 0, 0, 40, 50))).save(source / "01_GT/SEG/man_seg001.tif")
    dataset = read(source, write_frames=tmp_path / "png")
    assert_masks(masks_of(dataset)[:1], [numbered(1, 0, 1)])
    assert dataset.notes["whole cells of no single track left out"] == 1


def test_sixteen_bits_become_eight_by_percentiles_of_the_video(tmp_path, source):
    folder, output = tmp_path / "png", tmp_path / "out.json"
    words = ["ctc", str(source), "--output", str(output), "--write-frames", str(folder)]
    assert main(words) == 0
    found = [np.asarray(Image.open(folder / f"01/t{t:03d}.png").convert("L")) for t in range(3)]
    everything = np.sort(np.stack([levels(t) for t in range(3)]).ravel())
    low, high = (everything[int(np.ceil(share * everything.size)) - 1] for share in (0.001, 0.999))
    for t, image in enumerate(found):
        expected = np.clip((levels(t).astype(float) - low) * 255 / (high - low), 0, 255)
        assert np.abs(image - expected).max() <= 0.5 + 1e-6
    assert (found[0][0, 0], found[0][0, 1]) == (255, 0)
    assert found[0][20].mean() > 100  # upper bytes would be 4 at most
    assert doctor([str(output), "--images", str(folder)]) == 0
    assert json.loads(output.read_text())["info"]["description"] == "imported from ctc: 'Fluo'"
    output.unlink()
    assert main(words) == 2  # frames are not replaced
    assert main([*words, "--overwrite"]) == 0


def test_eight_bits_stay_where_they_are(tmp_path, source):
    for path in (source / "01").iterdir():
        Image.fromarray((np.asarray(Image.open(path)) >> 8).astype(np.uint8)).save(path)
    dataset = read(source)
    assert dataset.image_root == source
    assert dataset.videos[0].file_names[0] == "01/t000.tif"
    write_ytvis(dataset, tmp_path / "out.json")
    assert doctor([str(tmp_path / "out.json"), "--images", str(source)]) == 0
    copied = read(source, write_frames=tmp_path / "png").image_root / "01/t000.png"
    expected = np.asarray(Image.open(source / "01/t000.tif"))
    np.testing.assert_array_equal(np.asarray(Image.open(copied))[..., 0], expected)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_frames_are_not_replaced_by_their_copies(tmp_path, source, capsys, suffix):
    for t in range(3):
        (source / f"01/t{t:03d}.tif").unlink()
        Image.fromarray(levels(t)).save(source / f"01/t{t:03d}{suffix}")
    before = {path: path.read_bytes() for path in (source / "01").iterdir()}
    words = ["ctc", str(source), "--output", str(tmp_path / "out.json"), "--overwrite"]
    assert main([*words, "--write-frames", str(source)]) == 2
    assert "01: holds the frames that are to be copied" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (source / "01").iterdir()} == before


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_frames_without_a_range_are_refused(source, kind):
    for path in (source / "01").iterdir():
        Image.fromarray(np.asarray(Image.open(path)).astype(kind)).save(path)
    with pytest.raises(ValueError, match=r"01/t000.tif cannot .*: its pixels are 32-bit"):
        read(source)


def test_sixteen_bits_need_a_folder(source):
    with pytest.raises(ValueError, match=r"01/t000.tif: is 16-bit grey, of which"):
        read(source)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0 1", "line 1: '1 0 1'; label begin end parent are needed"),
        ("1 0 1 0\n1 0 2 0", "line 2: '1 0 2 0'; labels are from 1 to 65535, each once"),
        ("1 2 1 0", "line 1: '1 2 1 0'; .* no earlier than it begins"),
        ("0 0 1 0", "line 1: '0 0 1 0'; labels are from 1"),
        ("1 0 x 0", "line 1: end must be an integer of 0 or more, got 'x'"),
        (TRACKS.replace("2 2 1", "2 2 5"), "line 3: there is no track 5, the parent"),
        ("1 0 1 0\n", "man_track000.tif: holds object 2, which has no line in man_track.txt"),
        (TRACKS.replace("2 0 2", "2 1 2"), "man_track000.tif: .* 2, which lives in frames 1 to 2"),
    ],
)
def test_lives_that_cannot_be_used(tmp_path, source, text, message):
    (source / "01_GT/TRA/man_track.txt").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(source, write_frames=tmp_path / "png")


@pytest.mark.parametrize("name", ["01/t001.tif", "01_GT/TRA/man_track001.tif"])
def test_pictures_that_cannot_be_used(tmp_path, source, name):
    pages = [Image.fromarray(MARKS[0])] * 2
    for save, message in (
        (lambda path: pages[0].save(path, save_all=True, append_images=pages[1:]), "has 2 pages"),
        (lambda path: pages[0].crop((0, 0, 9, 9)).save(path), r"has \(?9"),
        (lambda path: path.write_bytes(b"II*"), "cannot be read as an image"),
        (lambda path: pages[0].convert("RGB").save(path), "mode 'RGB'; .*grey"),
    ):
        save(source / name)
        with pytest.raises(ValueError, match=f"{name}.*{message}"):
            read(source, write_frames=tmp_path / "png")


def test_what_is_missing_is_named(tmp_path, source):
    with pytest.raises(ValueError, match="Fluo/01: holds no folder of true tracks, such as 01_GT"):
        read(source / "01")
    (source / "01/t002.tif").unlink()
    with pytest.raises(FileNotFoundError, match=r"man_track002.tif: there is no frame 2 in .*01"):
        read(source, write_frames=tmp_path / "png")
    (source / "01_GT/TRA/man_track.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"man_track.txt: no such file"):
        read(source, write_frames=tmp_path / "png")
