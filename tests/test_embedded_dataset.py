import colorsys
import hashlib
import json
from collections import Counter
from pathlib import Path

from benchmarks.peers.protocol import decoded
from simplevtr.commands import doctor

import numpy as np
import pytest
from make_embedded import STARTED_STAMP, main, make_embedded_dataset
from PIL import Image
from rendering import POLYGON_MIN_IOU, annotation_record
from scenes import SHAPES, SPLITS, category_of, contains

TINY = {"seed": 666, "train_videos": 3, "val_videos": 1, "long_videos": 0}


def hashes(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def decode(segmentation, height: int, width: int) -> np.ndarray:
    return decoded(segmentation, height, width).astype(bool)


def form(segmentation) -> str:
    if isinstance(segmentation, list):
        return "polygons"
    return "uncompressed" if isinstance(segmentation["counts"], list) else "compressed"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Both variants with 24 train videos."""
    output = tmp_path_factory.mktemp("embedded") / "made"
    make_embedded_dataset(output, train_videos=24, val_videos=2, long_videos=1)
    return output


def each_track(folder: Path, split: str):
    content = json.loads((folder / f"{split}.json").read_text())
    videos = {video["id"]: video for video in content["videos"]}
    for track in content["annotations"]:
        yield videos[track["video_id"]], track


@pytest.mark.parametrize("split", SPLITS)
def test_files_follow_the_ytvis_format(made, split):
    """As the doctor examines them, masks, boxes, areas and frames too."""
    folder, images = made / "easy", made / "easy" / split / "JPEGImages"
    words = ["--images", str(images), "--box-tolerance", "0", "--ignore", "unused-category"]
    assert doctor.main([str(folder / f"{split}.json"), *words]) == doctor.CLEAN
    content = json.loads((folder / f"{split}.json").read_text())
    assert [(c["id"], c["name"]) for c in content["categories"]] == list(enumerate(SHAPES, 1))
    listed = [name for video in content["videos"] for name in video["file_names"]]
    assert sorted(listed) == sorted(p.relative_to(images).as_posix() for p in images.rglob("*.jpg"))
    assert listed[0] == "video_00001/00000.jpg"
    for video in content["videos"]:
        assert 40 <= video["length"] <= 200 if split == "long" else video["length"] <= 24


@pytest.mark.parametrize("split", ["train", "long"])
def test_every_object_is_seen_in_two_frames(made, split):
    areas = [[a for a in track["areas"] if a] for _, track in each_track(made / "hard", split)]
    assert len(areas) >= 3
    assert min(map(len, areas)) >= 2
    assert min(map(min, areas)) >= 12


def test_visible_masks_do_not_overlap(made):
    totals = {}
    for video, track in each_track(made / "easy", "long"):
        masks = [
            np.zeros((video["height"], video["width"]), int)
            if s is None
            else decode(s, video["height"], video["width"]).astype(int)
            for s in track["segmentations"]
        ]
        totals[video["id"]] = totals.get(video["id"], 0) + np.stack(masks)
    assert max(total.max() for total in totals.values()) == 1


def test_all_three_forms_of_segmentations_and_null_frames_occur(made):
    forms, absent, back = Counter(), 0, 0
    for _, track in each_track(made / "easy", "train"):
        forms.update({form(s) for s in track["segmentations"] if s is not None})
        presence = "".join("01"[s is not None] for s in track["segmentations"])
        absent += "0" in presence
        back += "0" in presence.strip("0")
    assert set(forms) == {"compressed", "uncompressed", "polygons"}
    assert forms["compressed"] > forms["uncompressed"] + forms["polygons"]
    assert absent >= 5
    assert back >= 1  # leaves and comes back


def test_masks_lie_on_the_coloured_objects(made):
    """Objects are vivid and backgrounds are not, so saturation shows where the objects are."""
    folder, inside, outside = made / "easy", [], []
    for video, track in each_track(folder, "train"):
        for name, segmentation in zip(video["file_names"], track["segmentations"], strict=True):
            if segmentation is not None:
                mask = decode(segmentation, video["height"], video["width"])
                with Image.open(folder / "train" / "JPEGImages" / name) as image:
                    pixels = np.asarray(image).astype(int)
                colourful = np.ptp(pixels, axis=2) > 55
                inside.append(colourful[mask].mean())
                outside.append(colourful[~mask].mean())
    assert np.mean(inside) > 0.95
    assert np.mean(outside) < 0.1  # other objects


def object_hues(folder: Path) -> np.ndarray:
    """Distances of the objects' hues from their category's, in turns."""
    found = []
    for video, track in each_track(folder, "train"):
        t = next(i for i, s in enumerate(track["segmentations"]) if s is not None)
        mask = decode(track["segmentations"][t], video["height"], video["width"])
        with Image.open(folder / "train" / "JPEGImages" / video["file_names"][t]) as image:
            colour = np.median(np.asarray(image)[mask], axis=0) / 255
        distance = colorsys.rgb_to_hsv(*colour)[0] - (track["category_id"] - 1) / 6
        found.append((distance + 0.5) % 1 - 0.5)
    return np.abs(found)


def test_hue_tells_the_category_in_easy_only(made):
    assert object_hues(made / "easy").max() < 1 / 12
    assert (object_hues(made / "hard") > 1 / 12).mean() > 0.5


def test_videos_do_not_depend_on_counts_variants_or_workers(made, tmp_path):
    make_embedded_dataset(
        tmp_path / "tiny", variant="hard", workers=2, **{**TINY, "long_videos": 1}
    )
    tiny, full = hashes(tmp_path / "tiny" / "hard"), hashes(made / "hard")
    frames = [name for name in tiny if name.endswith(".jpg")]
    assert len(frames) > 50
    assert all(tiny[name] == full[name] for name in frames)
    tracks = json.loads((tmp_path / "tiny" / "hard" / "train.json").read_text())["annotations"]
    full_tracks = json.loads((made / "hard" / "train.json").read_text())["annotations"]
    assert tracks == full_tracks[: len(tracks)]


@pytest.mark.parametrize("variant", ["easy", "small"])
def test_equal_settings_give_equal_bytes_and_other_seeds_others(tmp_path, variant):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_embedded_dataset(tmp_path / name, variant=variant, **{**TINY, "seed": seed})
    first, again, other = (hashes(tmp_path / name) for name in "abc")
    assert first == again
    assert first[f"{variant}/train.json"] != other[f"{variant}/train.json"]


def test_small_objects_are_small(tmp_path):
    counts = {"train_videos": 24, "val_videos": 2, "long_videos": 1}
    make_embedded_dataset(tmp_path, variant="small", **counts)
    sides, frames = [], set()
    for split in SPLITS:
        for video, track in each_track(tmp_path / "small", split):
            unit = (video["height"] * video["width"] / (64 * 96)) ** 0.5
            boxes = [box for box in track["bboxes"] if box is not None]
            # At its largest nothing hides an object, or not much.
            sides.append(max(max(box[2:]) for box in boxes) / unit)
            assert min(area for area in track["areas"] if area is not None) >= 4
            frames.add((video["height"], video["width"]))
    assert len(sides) > 40
    assert 4 <= min(sides) < 6
    assert 8 < max(sides) <= 10
    assert (64, 96) in frames
    assert frames <= {(64, 96), (64, 64), (96, 64), (72, 108)}
    assert object_hues(tmp_path / "small").max() < 1 / 12


def test_scale_multiplies_frame_sizes(made, tmp_path):
    settings = {**TINY, "train_videos": 1, "val_videos": 0}
    make_embedded_dataset(tmp_path, variant="easy", scale=2.0, **settings)
    large, base = (next(each_track(folder / "easy", "train"))[0] for folder in (tmp_path, made))
    assert (large["height"], large["width"]) == (2 * base["height"], 2 * base["width"])


def test_finished_dataset_is_left_alone(tmp_path, capsys):
    files = make_embedded_dataset(tmp_path / "d", variant="easy", **TINY)
    assert [f.relative_to(tmp_path).as_posix() for f in files] == [
        "d/easy/train.json",
        "d/easy/val.json",
        "d/easy/long.json",
    ]
    frame = tmp_path / "d/easy/train/JPEGImages/video_00001/00000.jpg"
    frame.write_bytes(b"mark")
    again = make_embedded_dataset(tmp_path / "d", variant="easy", **TINY)
    assert again == files
    assert "already finished" in capsys.readouterr().out
    assert frame.read_bytes() == b"mark"


def test_other_settings_need_overwrite(tmp_path, capsys):
    make_embedded_dataset(tmp_path, variant="easy", **TINY)
    before = hashes(tmp_path)
    other = {**TINY, "seed": 5, "train_videos": 1}
    with pytest.raises(FileExistsError, match="other settings.*--overwrite"):
        make_embedded_dataset(tmp_path, variant="both", **other)
    assert main(["--output", str(tmp_path), "--seed", "5"]) == 2
    assert capsys.readouterr().err.startswith("make_embedded.py: error: ")
    assert hashes(tmp_path) == before  # not even the other variant was begun
    make_embedded_dataset(tmp_path, variant="easy", overwrite=True, **other)
    assert [p.name for p in (tmp_path / "easy/train/JPEGImages").iterdir()] == ["video_00001"]


def test_interrupted_run_is_made_again(tmp_path):
    make_embedded_dataset(tmp_path / "whole", variant="easy", **TINY)
    make_embedded_dataset(tmp_path / "cut", variant="easy", **TINY)
    folder = tmp_path / "cut" / "easy"
    (folder / "embedded.json").rename(folder / STARTED_STAMP)
    (folder / "val.json").unlink()
    (folder / "train/JPEGImages/video_00002/00001.jpg").write_bytes(b"half")
    make_embedded_dataset(tmp_path / "cut", variant="easy", **TINY)
    assert hashes(tmp_path / "cut") == hashes(tmp_path / "whole")
    (folder / "embedded.json").write_text('{"variant": "ea')
    with pytest.raises(FileExistsError, match="other output folder or pass --overwrite"):
        make_embedded_dataset(tmp_path / "cut", variant="easy", **TINY)


def test_foreign_folder_is_never_touched(tmp_path):
    (tmp_path / "easy" / "train").mkdir(parents=True)
    (tmp_path / "easy" / "train" / "mine.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(FileExistsError, match="not made by this program"):
            make_embedded_dataset(tmp_path, overwrite=overwrite, **TINY)
    assert list(hashes(tmp_path)) == ["easy/train/mine.txt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--variant medium", "invalid choice: 'medium' (choose from"),
        ("--train-videos -1", "--train-videos: -1 was given; it must be at least 0"),
        ("--seed -2", "--seed: -2 was given; it must be at least 0"),
        ("--scale 0.1", "--scale: 0.1 was given; it must be at least 0.5 and at most 4"),
        ("--scale nan", "--scale: nan was given"),
        ("--workers 0", "--workers: 0 was given; it must be at least 1"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(tmp_path, capsys, words, message):
    with pytest.raises(SystemExit, match="2"):
        main(["--output", str(tmp_path / "d"), *words.split()])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "d").exists()


def test_categories_are_balanced():
    for slot in range(3):
        names = [category_of(666, "easy", "train", video, slot) for video in range(60)]
        assert Counter(names) == dict.fromkeys(SHAPES, 10)
    first, second = (
        [category_of(666, "easy", "train", v, slot) for v in range(60)] for slot in (0, 1)
    )
    assert first != second


def test_shapes_have_their_areas_and_reject_unknown_names():
    axis = (np.arange(1200) + 0.5) / 500 - 1.2
    x, y = np.meshgrid(axis, axis)
    areas = {shape: contains(shape, x, y).mean() * 2.4**2 for shape in SHAPES}
    star = 5 * 1.2**2 * np.sin(np.radians(36)) * np.sin(np.radians(18)) / np.sin(np.radians(54))
    expected = {
        "disk": np.pi * 0.92**2,
        "square": 1.56**2,
        "triangle": 0.75 * 3**0.5 * 1.15**2,
        "star": star,
        "cross": 2 * 2 * 0.68 - 0.68**2,
        "ring": np.pi * (1 - 0.25),
    }
    assert areas == pytest.approx(expected, rel=0.01)
    with pytest.raises(ValueError, match="'heart'.*disk"):
        contains("heart", x, y)


def two_visible_frames(*, hole: bool) -> np.ndarray:
    masks = np.zeros((3, 30, 40), bool)
    masks[0, 5:20, 8:25] = True
    masks[2, 0:15, 0:15] = True
    if hole:
        masks[0, 8:17, 11:22] = False
    return masks


@pytest.mark.parametrize("encoding", ["compressed", "uncompressed", "polygons"])
def test_each_form_decodes_to_the_mask(encoding):
    masks = two_visible_frames(hole=False)
    record = annotation_record(masks, category_id=4, encoding=encoding)
    assert record["segmentations"][1] is record["bboxes"][1] is record["areas"][1] is None
    for t in (0, 2):
        segmentation = json.loads(json.dumps(record["segmentations"][t]))
        assert form(segmentation) == encoding
        assert (decode(segmentation, 30, 40) == masks[t]).all()
    assert record["bboxes"][0] == [8, 5, 17, 15]
    assert record["areas"] == [255, None, 225]
    assert record["category_id"] == 4


def test_a_hole_is_not_lost_to_polygons():
    masks = two_visible_frames(hole=True)
    record = annotation_record(masks, category_id=1, encoding="polygons")
    assert [form(s) for s in record["segmentations"] if s] == ["compressed"] * 2
    assert (decode(record["segmentations"][0], 30, 40) == masks[0]).all()


def test_polygons_are_the_truth_of_boxes_and_areas():
    y, x = np.mgrid[:30, :40]
    mask = (x - 19.3) ** 2 + (y - 14.6) ** 2 < 100
    record = annotation_record(mask[None], category_id=1, encoding="polygons")
    drawn = decode(record["segmentations"][0], 30, 40)
    assert record["areas"] == [drawn.sum()]
    assert (drawn & mask).sum() / (drawn | mask).sum() >= POLYGON_MIN_IOU
