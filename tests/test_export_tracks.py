"""What is exported comes back through the importers."""

import json
import shlex
from xml.etree import ElementTree

from simplevtr.commands.export_tracks import main
from simplevtr.formats.polygons import polygons_text
from simplevtr.structures import FrameTracks
from simplevtr.toolbox import exporting
from simplevtr.video_io import DavisPngSink, open_sink

import cv2
import numpy as np
import pytest
from footage import pictures, record
from foreign_formats import (
    SIZE,
    Known,
    assert_same_tracks,
    decoded,
    encoded,
    imported,
    known_dataset,
)
from json_files import save_json
from PIL import Image

AROUND = np.ones((3, 3), np.uint8)


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known")


def write_results(path, tracks):
    """Of annotations, or others, each with a lower score than the one before."""
    keys = ("video_id", "category_id", "segmentations", "category_name")
    entries = [
        {key: track[key] for key in keys if key in track} | {"score": max(0, 0.9 - 0.01 * place)}
        for place, track in enumerate(tracks)
    ]
    return save_json(path, entries)


def write_film(path, frames):
    with open_sink(path, 10, SIZE, overwrite=True) as sink:
        for _ in range(frames):
            sink.write(np.zeros((*SIZE, 3), np.uint8))


def export(kind, tmp_path, known, *options, tracks=None):
    """The folder that the annotations, as predictions, are written to."""
    tracks = known.content["annotations"] if tracks is None else tracks
    gt = save_json(tmp_path / "gt.json", {**known.content, "annotations": None})
    results = write_results(tmp_path / "results.json", tracks)
    output = tmp_path / "exported"
    words = [kind, results, "--gt", gt, "--output", output, *options]
    return main([*map(str, words)]), output


@pytest.mark.parametrize("kind", ["mots", "davis", "cvat-masks"])
def test_exact_masks_come_back(tmp_path, known, kind, capsys):
    swap = {1: 9, 2: 4}  # other ids, and not in the order of the names
    for entry in known.content["categories"]:
        entry["id"] = swap[entry["id"]]
    for track in known.content["annotations"]:
        track["category_id"] = swap[track["category_id"]]
    status, folder = export(kind, tmp_path, known)
    assert status == 0
    line = capsys.readouterr().out.splitlines()[-1]
    kind, more = kind.removesuffix("-masks"), ["--classes", "1=dog", "2=cat"]
    more = more if kind == "mots" else []
    words = shlex.split(line)
    assert words[:4] == ["simplevtr", "import", kind, str(folder)]
    options = ["--images", known.images, *words[words.index("--categories") :]]
    assert words[-3:] == more or not more
    found = imported(kind, folder, tmp_path / "new.json", *options)
    assert_same_tracks(known, found)
    assert found.content["categories"] == known.content["categories"]


@pytest.mark.parametrize("gaps", ["absent", "hold"])
def test_polygons_come_back_within_a_pixel(tmp_path, known, gaps):
    thin = np.zeros(SIZE, bool)
    thin[3, 5:30] = thin[10:30, 50] = thin[40, 40] = True
    known.content["annotations"][2]["segmentations"] = [encoded(thin), None, None, encoded(~thin)]
    _, folder = export("cvat", tmp_path, known)
    options = ("--images", known.images, "--gaps", gaps)
    found = imported("cvat", folder, tmp_path / "new.json", *options)
    for (_, _, tracks), (_, _, others) in zip(known.videos(), found.videos(), strict=True):
        for (name, masks), (other, back) in zip(tracks, others, strict=True):
            assert name == other
            for mask, own in zip(masks, back, strict=True):
                assert (mask is None) == (own is None)
                if mask is not None:
                    mask, own = mask.astype(np.uint8), own.astype(np.uint8)
                    assert_within_a_pixel(own, mask)
                    assert (cv2.erode(mask, AROUND) <= own).all()  # no holes


def assert_within_a_pixel(drawn, mask):
    assert (cv2.dilate(mask, AROUND) >= drawn).all()
    assert (cv2.dilate(drawn, AROUND) >= mask).all()


@pytest.mark.parametrize("seed", range(40))
def test_thin_and_ragged_polygons_stay_within_a_pixel(seed):
    rng = np.random.default_rng(seed)
    pixels = (rng.random(rng.integers(1, 40, 2)) < rng.random()).astype(np.uint8)
    pixels[0, 0] = 1
    points = exporting._polygon(encoded(pixels))["points"].replace(";", ",")
    drawn = polygons_text([[*map(float, points.split(","))]], *pixels.shape)
    back = decoded({"size": [*pixels.shape], "counts": drawn}).astype(np.uint8)
    assert_within_a_pixel(back, pixels)


def test_a_polygon_has_few_points_and_ends_outside(tmp_path, known):
    _, folder = export("cvat", tmp_path, known)
    root = ElementTree.parse(folder / "video1.xml").getroot()
    cat, dog = root.iterfind("track")
    assert (cat.get("label"), dog.get("label")) == ("cat", "dog")
    flags = [(shape.get("frame"), shape.get("outside")) for shape in cat]
    assert flags == [("0", "0"), ("1", "1"), ("2", "0"), ("3", "0")]
    assert cat[1].get("points") == cat[0].get("points")
    assert all(len(shape.get("points").split(";")) < 30 for shape in dog)
    assert root.findtext("meta/task/original_size/width") == str(SIZE[1])


def box(*sides):
    mask = np.zeros(SIZE, bool)
    top, left, bottom, right = sides
    mask[top:bottom, left:right] = True
    return encoded(mask)


@pytest.mark.parametrize(("kind", "values"), [("davis", (1, 2)), ("mots", (2001, 1002))])
def test_the_best_track_is_on_top(tmp_path, known, kind, values, capsys):
    tracks = [
        {"video_id": 1, "category_id": c, "segmentations": [mask, None, None, None]}
        for c, mask in ((2, box(0, 0, 10, 10)), (1, box(5, 5, 20, 20)))
    ]
    _, folder = export(kind, tmp_path, known, tracks=tracks)
    assert "in 1 frame tracks overlap" in capsys.readouterr().out
    path = folder / ("Annotations/video1/00000.png" if kind == "davis" else "video1/00000.png")
    with Image.open(path) as image:
        assert image.mode == "P" if kind == "davis" else image.mode.startswith("I;16")
        picture = np.asarray(image)
        if kind == "davis":  # red and green of PASCAL VOC
            assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
            assert image.getpalette()[3 * 64 :][:3] == [32, 0, 0]
    assert (picture[7, 7], picture[15, 15], picture[30, 30]) == (*values, 0)


def test_the_tracks_of_a_video_alone(tmp_path, known, capsys):
    video = tmp_path / "clip.mp4"
    write_film(video, 4)
    names = {1: "cat", 2: "dog"}
    tracks = known.content["annotations"][:2]
    tracks = [track | {"category_name": names[track["category_id"]]} for track in tracks]
    results = write_results(tmp_path / "results.json", tracks)
    words = ["cvat-masks", results, "--input", str(video), "--output", str(tmp_path / "out")]
    assert main(words) == 0
    frames = known.images / "video1"
    found = imported("cvat", tmp_path / "out/clip.xml", tmp_path / "new.json", "--images", frames)
    (found_tracks,) = [tracks for _, _, tracks in found.videos()]
    (expected, _) = [tracks for _, _, tracks in known.videos()]
    for (_, own), (_, wanted) in zip(found_tracks, expected, strict=True):
        np.testing.assert_equal(own, wanted)
    record(video, pictures(4), options={"g": "1"}, flags="frag_keyframe")
    assert main([*words, "--overwrite"]) == 0  # its header counts one frame
    assert main([*words[:3], str(tmp_path / "no.mp4"), *words[4:], "--overwrite"]) == 2
    write_film(video, 1)
    assert main([*words, "--overwrite"]) == 2
    assert "clip.mp4: has 1 frames, but the results have 4" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "below"), [("mots", "."), ("davis", "Annotations")])
def test_frames_are_not_replaced_by_masks(tmp_path, known, kind, below, capsys):
    frames = tmp_path / below / "clip.v1"
    frames.mkdir(parents=True)
    for t in range(4):
        Image.new("RGB", SIZE[::-1]).save(frames / f"{t}.png")
    tracks = known.content["annotations"][:1]
    results = write_results(tmp_path / "results.json", [tracks[0] | {"category_name": "cat"}])
    for given in (frames, f"{frames}/*.png"):
        words = [kind, results, "--input", str(given), "--output"]
        assert main([*words, str(tmp_path), "--overwrite"]) == 2
        assert "clip.v1: holds the frames; choose another --output" in capsys.readouterr().err
    assert Image.open(frames / "0.png").mode == "RGB"
    assert main([*words, str(tmp_path / "new")]) == 0
    assert len([*(tmp_path / "new" / below / "clip.v1").iterdir()]) == 4


def test_tracks_of_the_first_frames_of_a_folder(tmp_path, known, capsys):
    """As the demo's --max-frames leaves them."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for t in range(6):
            Image.new("RGB", SIZE[::-1]).save(tmp_path / folder / f"{t}.png")
    tracks = known.content["annotations"][:1]
    results = write_results(tmp_path / "results.json", [tracks[0] | {"category_name": "cat"}])
    words = ["mots", results, "--input", str(tmp_path / "a"), "--output", str(tmp_path / "new")]
    assert main(words) == 0
    assert sorted(p.name for p in (tmp_path / "new/a").iterdir()) == [f"{t}.png" for t in range(4)]
    assert main([*words[:3], f"{tmp_path}/?/?.png", *words[4:], "--overwrite"]) == 2
    assert "its frames are in several folders" in capsys.readouterr().err


def named(*files):
    """Gives the frames of video 2 other names."""
    return lambda content: content["videos"][1].update(file_names=[*files])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (named(*["../a/0.jpg"] * 4), "below the image root"),
        (named(*[f"video1/{i}.jpg" for i in range(4)]), "video 2: another video's frames"),
        (named(*["a/0.jpg"] * 4), "video 2: two of its frames have the same name"),
        (named("a/1.jpg", "a/2.jpg", "a/3.jpg", "a/0.jpg"), "not in the order of their names"),
        (named(*[f"a/{i}.jpg" for i in "abcd"]), "frames' names do not end in numbers"),
        (named("a/a2.jpg", "a/b1.jpg", "a/c3.jpg", "a/d4.jpg"), "its frames are not in the order"),
        (named("a/0.jpg", "a/1.jpg", "a/2.jpg", "b/3.jpg"), "its frames are in several folders"),
        (lambda c: c["categories"][0].update(name="a\x01b"), "characters that XML does not know"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, known, change, message, capsys):
    content = json.loads(json.dumps(known.content))
    change(content)
    kind = "cvat" if any(word in message for word in ("XML", "order", "numbers")) else "davis"
    status, output = export(kind, tmp_path, Known(content, known.images), tracks=[])
    assert status == 2
    assert message in capsys.readouterr().err
    assert not output.exists()  # the second video is looked at before the first is written


@pytest.mark.parametrize(
    ("kind", "category", "count", "message"),
    [
        ("davis", 1, 255, "video 2: 255 tracks; davis has numbers for 254 (--score-threshold"),
        ("mots", 1, 1000, "video 2: 1,000 tracks of 'c1'; mots has numbers for 999"),
        ("mots", 65, 536, "video 2: 536 tracks of 'c65'; mots has numbers for 535"),
        ("mots", 66, 1, "video 2: 1 track of 'c66'; mots has numbers for 0"),
    ],
)
def test_tracks_without_a_number_are_refused(
    tmp_path, known, kind, category, count, message, capsys
):
    known.content["categories"] = [{"id": i, "name": f"c{i}"} for i in range(1, 67)]
    masks = [box(0, 0, 2, 2), None, None, None]
    track = {"category_id": category, "segmentations": masks}
    tracks = [{**track, "video_id": 1, "category_id": 1}, *[{**track, "video_id": 2}] * count]
    options = ["--score-threshold", "0"]
    status, output = export(kind, tmp_path, known, *options, tracks=tracks)
    assert status == 2
    assert message in capsys.readouterr().err
    assert not output.exists()
    assert export(kind, tmp_path, known, *options, tracks=tracks[:-1])[0] == 0


@pytest.mark.parametrize(("first", "step", "width"), [(0, 1, 5), (1, 1, 5), (0, 5, 5), (0, 1, 1)])
def test_a_line_tells_where_cvat_counts_in_another_way(tmp_path, known, first, step, width, capsys):
    track = known.content["annotations"][0]
    for video in known.content["videos"]:
        numbers = range(first, first + 11 * step, step)
        video["file_names"] = [f"v{video['id']}/{number:0{width}d}.jpg" for number in numbers]
        video["length"] = 11
    tracks = [track | {"segmentations": track["segmentations"] + [None] * 7}]
    assert export("cvat-masks", tmp_path, known, tracks=tracks)[0] == 0
    told = "must be these frames alone" in capsys.readouterr().out
    assert told == ((first, step, width) != (0, 1, 5))


@pytest.mark.parametrize("kind", ["cvat", "mots", "davis"])
def test_videos_of_an_earlier_export_are_not_mixed_in(tmp_path, known, kind, capsys):
    assert export(kind, tmp_path, known)[0] == 0
    assert export(kind, tmp_path, known, "--overwrite")[0] == 0
    del known.content["videos"][0]
    tracks = [track for track in known.content["annotations"] if track["video_id"] == 2]
    assert export(kind, tmp_path, known, "--overwrite", tracks=tracks)[0] == 2
    assert "holds another video, video1; write elsewhere" in capsys.readouterr().err


def test_names_of_windows_are_written_again(tmp_path, known):
    for video in known.content["videos"]:
        video["file_names"] = [name.replace("/", "\\") for name in video["file_names"]]
    assert export("mots", tmp_path, known)[0] == 0
    assert export("mots", tmp_path, known, "--overwrite")[0] == 0


@pytest.mark.parametrize(("kind", "below"), [("mots", "."), ("davis", "Annotations")])
def test_pictures_of_an_earlier_export_are_not_mixed_in(tmp_path, known, kind, below, capsys):
    assert export(kind, tmp_path, known)[0] == 0
    (tmp_path / "exported" / below / "video1/00009.png").write_bytes(b"")
    assert export(kind, tmp_path, known, "--overwrite")[0] == 2
    assert "video1/00009.png: is of a frame that is not written" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["mots", "davis", "cvat-masks"])
def test_frames_in_img1_are_found_again(tmp_path, known, kind):
    video = known.content["videos"][0]
    folder = known.images / "video1"
    folder.rename(tmp_path / "img1")
    folder.mkdir()
    (tmp_path / "img1").rename(folder / "img1")
    video["file_names"] = [name.replace("/", "/img1/") for name in video["file_names"]]
    status, output = export(kind, tmp_path, known)
    assert status == 0
    options = ("--classes", "1=cat", "2=dog") if kind == "mots" else ()
    kind = kind.removesuffix("-masks")
    found = imported(kind, output, tmp_path / "new.json", "--images", str(known.images), *options)
    assert found.content["videos"][0]["file_names"] == video["file_names"]


@pytest.mark.parametrize(("kind", "below"), [("mots", "."), ("davis", "Annotations")])
def test_frames_of_an_annotation_file_are_not_replaced(tmp_path, known, kind, below, capsys):
    frame = tmp_path / "exported" / below / "video2/00001.png"
    frame.parent.mkdir(parents=True)
    Image.new("RGB", SIZE[::-1]).save(frame)
    assert export(kind, tmp_path, known, "--overwrite")[0] == 2
    assert "00001.png: is a picture, but not of tracks" in capsys.readouterr().err
    assert Image.open(frame).mode == "RGB"


def test_nothing_is_replaced_and_weak_tracks_are_left_out(tmp_path, known, capsys):
    assert export("davis", tmp_path, known, "--score-threshold", "0.885")[0] == 0
    assert "wrote 2 tracks of 2 videos" in capsys.readouterr().out
    assert export("davis", tmp_path, known)[0] == 2
    assert "exported exists already" in capsys.readouterr().err
    assert export("davis", tmp_path, known, "--overwrite")[0] == 0


def test_a_palette_picture_has_254_tracks_at_most(tmp_path):
    mask = box(0, 0, 2, 2)
    with DavisPngSink(tmp_path / "a", SIZE) as sink:
        sink.write(FrameTracks(0, SIZE, [254], [0], [0.5], [mask]))
        with pytest.raises(ValueError, match="track 255; a picture has tracks from 1 to 254"):
            sink.write(FrameTracks(1, SIZE, [255], [0], [0.5], [mask]))
    assert (np.asarray(Image.open(tmp_path / "a/000000.png")) == 254).sum() == decoded(mask).sum()


def test_results_are_not_replaced_by_the_categories(tmp_path, known, capsys):
    output = tmp_path / "exported"
    output.mkdir()
    gt = save_json(tmp_path / "gt.json", {**known.content, "annotations": None})
    results = write_results(output / "meta.json", known.content["annotations"])
    words = ["davis", results, "--gt", gt, "--output", output, "--overwrite"]
    assert main([*map(str, words)]) == 2
    assert "meta.json is an input of this command" in capsys.readouterr().err
    assert main([*map(str, ["cvat", *words[1:]])]) == 0  # writes no such file
