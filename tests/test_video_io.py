import errno
import os
from fractions import Fraction

from simplevtr.formats.files import check_output
from simplevtr.video_io import FrameTiming, find_videos, open_sink, open_source

import av
import numpy as np
import pytest
from footage import write
from PIL import Image

NTSC = Fraction(30000, 1001)


def moving_square(count, height, width):
    """A bright square that moves two pixels a frame over a dark ramp."""
    ramp = np.linspace(20, 80, width).astype(np.uint8)
    frames = np.repeat(np.broadcast_to(ramp[None, None, :, None], (1, height, width, 3)), count, 0)
    for i, frame in enumerate(frames):
        frame[10:26, 2 * i : 2 * i + 16] = (220, 40, 90)
    return frames


@pytest.mark.parametrize(
    ("count", "height", "width", "fps"),
    [(9, 65, 97, NTSC), (1, 64, 96, NTSC), (5, 64, 97, Fraction(25)), (4, 66, 98, Fraction(17, 3))],
)
def test_mp4_keeps_count_rate_and_picture(tmp_path, count, height, width, fps):
    frames = moving_square(count, height, width)
    path = write(tmp_path / "clip.mp4", frames, fps)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert (stream.height % 2, stream.width % 2) == (0, 0)
        assert stream.average_rate == fps
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(decoded) == count
    for frame, original in zip(decoded, frames, strict=True):
        assert frame.shape == (height + height % 2, width + width % 2, 3)
        # The middle of the square and the ramp keep their colours; edges blur under yuv420p.
        assert abs(frame[18, 8].astype(int) - original[18, 8]).max() <= 12
        difference = frame[:height, :width].astype(int) - original
        assert np.abs(difference).mean() < 4
        if height % 2:
            assert np.abs(frame[-1].astype(int) - frame[-2]).mean() < 4  # the repeated row
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # starts to play before it is fully loaded


def test_video_source_reads_what_was_written(tmp_path):
    source = open_source(write(tmp_path / "clip.mp4", moving_square(7, 64, 96), NTSC))
    assert (source.size, source.fps, source.length, source.names) == ((64, 96), NTSC, 7, None)
    first, second = list(source), list(source)  # can be read twice
    assert len(first) == 7
    np.testing.assert_array_equal(first, second)
    assert first[0].dtype == np.uint8


def test_frames_are_shown_after_each_other_whatever_times_they_are_given(tmp_path):
    """Without a time, a frame follows the one before; in a gif, none can last less than 1/100 s."""
    told = [None, FrameTiming(Fraction(1, 2), Fraction(1, 5)), None]
    told += [FrameTiming(Fraction(0), Fraction(1, 1000)), None]
    with open_sink(tmp_path / "a.gif", Fraction(10), (64, 96)) as sink:
        for frame, timing in zip(moving_square(5, 64, 96), told, strict=True):
            sink.write(frame, timing)
    source = open_source(tmp_path / "a.gif")
    assert len(list(source)) == 5
    found = [source.timing(i) for i in range(5)]
    assert [timing.start * 100 for timing in found] == [0, 50, 70, 71, 72]


def test_gif_keeps_frames_and_colours(tmp_path):
    frames = moving_square(6, 65, 97)
    path = write(tmp_path / "clip.gif", frames, Fraction(10))
    with Image.open(path) as image:
        assert (image.size, image.n_frames, image.info["duration"]) == ((97, 65), 6, 100)
        assert image.info["loop"] == 0
    decoded = list(open_source(path))
    assert len(decoded) == 6
    assert np.abs(np.stack(decoded).astype(int) - frames).max() < 16
    with pytest.raises(ValueError, match="at most 50 frames a second"):
        open_sink(tmp_path / "fast.gif", Fraction(60), (64, 96))


def test_folder_and_natural_order(tmp_path):
    frames = moving_square(12, 40, 60)
    names = [f"frame{i}.png" for i in range(1, 13)]
    folder = write(tmp_path / "frames", frames, names=names)
    (folder / "notes.txt").write_text("not a frame")
    (folder / "._frame1.png").write_bytes(b"left by a file manager")
    for source in (
        open_source(folder),
        open_source(str(folder / "frame*.png")),
        open_source([folder / name for name in sorted(names)]),
    ):
        assert source.names == names  # 2 before 10
        assert (source.fps, source.length, source.size) == (None, 12, (40, 60))
        np.testing.assert_array_equal(list(source), frames)


def test_same_names_in_two_folders_give_no_names(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, moving_square(1, 40, 60))
    source = open_source([tmp_path / "b", tmp_path / "a"])
    assert (source.length, source.names) == (2, None)


def test_input_errors_name_the_problem(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video at all")
    (tmp_path / "text.png").write_text("no image at all")
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nclip.mp4\n#EXT-X-ENDLIST\n")
    clip = write(tmp_path / "clip.mp4", moving_square(1, 64, 96))
    for name in ("pipe.ts", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
    for source, message in (
        (tmp_path / "nowhere.mp4", "nowhere.mp4: no such file"),
        (str(tmp_path / "*.heic"), "no file matches"),
        (tmp_path / "empty", r"empty: no frames \(\.jpg"),
        ([], "no input"),
        (tmp_path / "pipe.ts", "pipe.ts: is a device or pipe"),
        (tmp_path / "text.mp4", "text.mp4: .*not a video"),
        (tmp_path / "list.m3u8", "list.m3u8: .*not a video"),
        (tmp_path / "text.png", r"text\.png cannot be read as an image"),
        ([clip, clip], "several inputs must all be images"),
        (["rtsp://me:secret@a", "rtsp://b"], r"rtsp://\*\*\*@a: an address is read alone"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            open_source(source)
    with pytest.raises(FileExistsError, match="pipe.mp4 is a device or pipe; name a file"):
        check_output(tmp_path / "pipe.mp4", overwrite=True)


def test_a_tilde_that_is_nobodys_home_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write("~nobody.mp4", moving_square(2, 40, 60))
    assert len(list(open_source("~nobody.mp4"))) == 2
    assert [video.name for video in find_videos(["~nobody.mp4"])] == ["~nobody.mp4"]


def test_frames_of_different_sizes_are_refused(tmp_path):
    folder = write(tmp_path / "frames", moving_square(2, 40, 60))
    Image.new("RGB", (50, 30)).save(folder / "00002.png")
    with pytest.raises(ValueError, match=r"00002\.png is 50x30 pixels, .*00000\.png is 60x40"):
        open_source(folder)


def save(folder, *names, value=90):
    for name in names:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((40, 60, 3), value, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("0.jpg 0.png 1.jpg 2.png", r"has 2 \.jpg and 2 \.png files, .*'.*/in/\*\.jpg'"),
        ("0.jpg 1.JPEG 0_mask.png", r"has 2 \.jpg and 1 \.png files, .*'.*/in/\*\.(jpg|JPEG)'"),
        ("0.bmp 1.tif 2.tiff 2.webp", r"has 1 \.bmp and 2 \.tif and 1 \.webp files"),
        ("0.jpg 0.jpeg", r"0\.jpeg and .*0\.jpg would be two frames"),
    ],
)
def test_a_folder_of_frames_and_masks_is_refused(tmp_path, names, message):
    save(tmp_path / "in", *names.split())
    with pytest.raises(ValueError, match=message):
        open_source(tmp_path / "in")


@pytest.mark.parametrize("masks", [["0.png", "1.png"], ["1.png"], ["0.bmp", "1.tiff"]])
def test_photographs_are_the_frames_where_all_others_are_their_doubles(tmp_path, masks, caplog):
    save(tmp_path / "in", "0.jpg", "1.JPG")
    save(tmp_path / "in", *masks, value=1)
    source = open_source(tmp_path / "in")
    assert source.names == ["0.jpg", "1.JPG"]
    assert min(frame.min() for frame in source) > 80
    assert "the .jpg files are the frames, others are taken for masks" in caplog.text


def test_a_pattern_chooses_the_frames_among_masks(tmp_path):
    save(tmp_path / "in", "0.jpg", "0.png", "1.jpg", "1.png")
    assert open_source(str(tmp_path / "in" / "*.jpg")).names == ["0.jpg", "1.jpg"]
    for both in (str(tmp_path / "in" / "*"), [tmp_path / "in" / f"0.{s}" for s in ("jpg", "png")]):
        with pytest.raises(ValueError, match=r"0\.jpg and .*0\.png would be two frames.*\*\.jpg"):
            open_source(both)
    with pytest.raises(ValueError, match=r"0\.jpg and .*0\.jpg would be two"):
        open_source([tmp_path / "in" / "0.jpg"] * 2)


@pytest.mark.parametrize("names", [["1.tif", "2.TIFF", "10.tif"], ["1.JPG", "2.jpeg", "10.jpg"]])
def test_spellings_of_one_kind_of_file_are_one_video(tmp_path, names):
    save(tmp_path / "in", *names)
    (tmp_path / "in" / "folder.png").mkdir()
    source = open_source(tmp_path / "in")
    assert source.names == names
    assert len(list(source)) == 3
    (tmp_path / "in" / names[1]).unlink()
    (tmp_path / "in" / names[1]).symlink_to("nowhere")  # is a frame that lacks
    with pytest.raises(FileNotFoundError, match=f"{names[1]} does not exist"):
        open_source(tmp_path / "in")


def test_accents_may_be_spelled_either_way(tmp_path):
    save(tmp_path / "cafe\u0301", "0.png")  # as macOS writes it
    assert open_source(tmp_path / "caf\u00e9").names == ["0.png"]


def test_images_are_read_as_training_reads_them(tmp_path):
    deep = np.tile(np.linspace(0, 65535, 60).astype(np.uint16), (40, 1))
    Image.fromarray(deep).save(tmp_path / "deep.png")
    source = open_source(tmp_path / "deep.png")
    (frame,) = source
    assert source.length == 1
    assert np.abs(frame[..., 0].astype(int) - (deep >> 8)).max() == 0
    turned = Image.fromarray(moving_square(1, 40, 60)[0])
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    assert open_source(tmp_path / "turned.jpg").size == (60, 40)
    Image.fromarray(deep.astype(np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif .*32-bit floating point"):
        list(open_source(tmp_path / "float.tif"))


@pytest.mark.parametrize("name", ["a.webp", "a.png", "a.gif", "default.png"])
def test_an_animation_is_a_video_with_its_times(tmp_path, name):
    pictures = [Image.fromarray(np.full((40, 60, 3), 20 * i, np.uint8)) for i in range(6)]
    durations = [40, 40, 100, 40, 200, 40]
    options = {"save_all": True, "append_images": pictures[1:], "duration": durations}
    if name == "default.png":  # its first picture is for programs that know no animations
        pictures[0] = Image.fromarray(np.full((40, 60, 3), 255, np.uint8))
        options |= {"append_images": [Image.new("RGB", (60, 40)), *pictures[1:]]}
        options |= {"default_image": True}
    pictures[0].save(tmp_path / name, **options, **({"lossless": True} if "webp" in name else {}))
    source = open_source(tmp_path / name)
    assert (source.size, source.names, source.fps is None) == ((40, 60), None, False)
    for _ in range(2):
        frames = list(source)
        assert [round(float(frame.mean())) for frame in frames] == [20 * i for i in range(6)]
        timings = [source.timing(i) for i in range(6)]
        assert [timing.start * 1000 for timing in timings] == [0, 40, 80, 180, 220, 420]
        assert [timing.duration * 1000 for timing in timings] == durations
    with pytest.raises(IndexError):
        source.timing(6)


def test_pages_of_a_tiff_are_frames(tmp_path):
    pages = [Image.fromarray(np.full((40, 60), 1000 * i, np.uint16)) for i in range(4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    source = open_source(tmp_path / "a.tif")
    assert (source.length, source.names, source.fps, source.timing(0)) == (4, None, None, None)
    assert [int(frame[0, 0, 0]) for frame in source] == [1000 * i >> 8 for i in range(4)]
    pages[0].save(tmp_path / "b.tif", save_all=True, append_images=[Image.new("L", (6, 4))])
    with pytest.raises(ValueError, match=r"b\.tif, picture 1 is 6x4 .*, but picture 0 is 60x40"):
        list(open_source(tmp_path / "b.tif"))


def test_an_animation_among_frames_is_refused(tmp_path):
    save(tmp_path / "in", "0.png")
    frame, other = (Image.new("RGB", (60, 40), level) for level in (0, 9))
    frame.save(tmp_path / "in" / "1.png", save_all=True, append_images=[other])
    with pytest.raises(ValueError, match=r"1\.png has 2 pictures; .* one at a time"):
        open_source(tmp_path / "in")


def test_a_cut_animation_is_refused_by_name(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (4, 40, 60, 3), np.uint8)
    first, *others = (Image.fromarray(frame) for frame in noise)
    first.save(tmp_path / "a.png", save_all=True, append_images=others)
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        list(open_source(tmp_path / "a.png"))


def test_existing_output_is_refused(tmp_path, caplog, monkeypatch):
    frames = moving_square(2, 40, 60)
    for name in ("clip.mp4", "clip.gif", "folder"):
        path = write(tmp_path / name, frames)
        with pytest.raises(FileExistsError, match=f"{name} exists already"):
            open_sink(path, NTSC, (40, 60))
        write(path, frames[:1], overwrite=True)
    assert len(list(open_source(tmp_path / "clip.mp4"))) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.gif", "clip.mp4", "folder"]
    # A folder is never emptied: what the new run did not write stays.
    assert len(list((tmp_path / "folder").iterdir())) == 2
    assert "folder: other files stay, such as 00001.png" in caplog.text
    (tmp_path / "bare").mkdir()
    monkeypatch.chdir(tmp_path / "bare")
    write(".", frames)  # an empty folder holds nothing to lose
    assert len(list((tmp_path / "bare").iterdir())) == 2


def replace_on_one_disk(monkeypatch, folder):
    """Make ``os.replace`` fail as if another disk were mounted on a folder."""
    replace, root = os.replace, os.path.realpath(folder)

    def refuse(source, target):
        if not os.path.realpath(source).startswith(f"{root}/"):
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr("os.replace", refuse)


def test_a_folder_that_exists_may_be_on_another_disk(tmp_path, monkeypatch):
    frames = moving_square(2, 40, 60)
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    replace_on_one_disk(monkeypatch, tmp_path / "disk")
    for name in ("disk", "link"):
        write(tmp_path / name, frames, overwrite=True)
        assert sorted(p.name for p in (tmp_path / "disk").iterdir()) == ["00000.png", "00001.png"]


def test_a_video_replaces_what_a_link_leads_to(tmp_path, monkeypatch):
    frames = moving_square(2, 40, 60)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/clip.mp4").write_text("old")
    (tmp_path / "clip.mp4").symlink_to("disk/clip.mp4")
    replace_on_one_disk(monkeypatch, tmp_path / "disk")
    write(tmp_path / "clip.mp4", frames, overwrite=True)
    assert (tmp_path / "clip.mp4").is_symlink()
    assert len(list(open_source(tmp_path / "disk/clip.mp4"))) == 2


def test_names_may_be_as_long_as_the_disk_allows(tmp_path):
    path = tmp_path / f"{'猫' * 83}.mp4"
    assert len(list(open_source(write(path, moving_square(2, 40, 60))))) == 2
    assert [*tmp_path.iterdir()] == [path]


def test_outputs_that_cannot_be_written_are_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"suffix '\.avi', allowed: \.mp4 or \.gif"):
        check_output(tmp_path / "clip.avi")
    for rate in (Fraction(0), Fraction(10**12), Fraction(1, 10**12)):
        with pytest.raises(ValueError, match="a frame rate of .* was given; allowed are"):
            open_sink(tmp_path / "clip.mp4", rate, (40, 60))
    for name, sides in (("clip.mp4", (40, 16_386)), ("folder", (70_000, 60))):
        with pytest.raises(ValueError, match=r"pixels were given; a side may have \d+ \(--scale\)"):
            open_sink(tmp_path / name, Fraction(10), sides)
    for rate in (Fraction(10**6), Fraction("50000.123456"), Fraction(1, 20_000)):
        with open_sink(tmp_path / "clip.mp4", rate, (4, 6), overwrite=True) as sink:
            sink.write(np.zeros((4, 6, 3), np.uint8))
    (tmp_path / "file").write_text("")
    for below in ("", "a/clip.mp4"):
        with pytest.raises(NotADirectoryError, match="file is not a folder"):
            check_output(tmp_path / "file" / below)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="clip.mp4 cannot be written: .* no new files"):
        check_output(tmp_path / "a" / "clip.mp4")


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "folder"])
def test_interrupted_run_keeps_what_is_done_under_another_name(tmp_path, name, caplog):
    frames = moving_square(4, 40, 60)

    def broken_run():
        with open_sink(tmp_path / name, NTSC, (40, 60)) as sink:
            for frame in frames[:3]:
                sink.write(frame)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_run()
    assert not (tmp_path / name).exists()
    (partial,) = tmp_path.iterdir()
    assert "the 3 frames done are kept in" in caplog.text
    assert str(partial) in caplog.text
    assert len(list(open_source(partial))) == 3
    write(tmp_path / name, frames)  # a second run neither trips over the first nor removes it
    assert partial.exists()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.gif", "folder"])
def test_two_runs_into_one_output_do_not_mix(tmp_path, name):
    with open_sink(tmp_path / name, NTSC, (40, 60)) as first:
        with open_sink(tmp_path / name, NTSC, (40, 60)) as second:
            for frame in moving_square(60, 40, 60):  # more than an encoder keeps to itself
                first.write(frame)
            for frame in moving_square(4, 40, 60):
                second.write(frame)
        assert len(list(open_source(second.path))) == 4
        first.path.rename(tmp_path / f"second_{name}")
    assert len(list(open_source(first.path))) == 60
    assert {path.name for path in tmp_path.iterdir()} == {name, f"second_{name}"}


def test_nothing_is_left_of_a_run_without_frames(tmp_path):
    for name in ("clip.mp4", "folder"):
        with pytest.raises(ValueError, match="no frames"), open_sink(tmp_path / name, NTSC, (4, 6)):
            pass
    assert list(tmp_path.iterdir()) == []


def test_wrong_frame_is_refused(tmp_path):
    with (
        pytest.raises(ValueError, match=r"shape \(41, 60, 3\) and type uint8 was given"),
        open_sink(tmp_path / "clip.mp4", NTSC, (40, 60)) as sink,
    ):
        sink.write(moving_square(1, 41, 60)[0])
