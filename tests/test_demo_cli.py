import signal
import sys
from fractions import Fraction

from simplevtr.commands import demo
from simplevtr.inference import VideoPredictor
from simplevtr.terminal import counted

import av
import numpy as np
import pytest
import torch
from demo_model import BrightestHalf, command_line, load_app
from footage import pictures, record, watch, write
from PIL import Image

NTSC = Fraction(30000, 1001)


@pytest.fixture
def options(tmp_path):
    """Command-line options of a model that can be loaded."""
    return command_line(tmp_path)


def write_video(path, count=5, size=(65, 97), **options):
    frames = [np.full((*size, 3), 60 + 10 * i, dtype=np.uint8) for i in range(count)]
    return write(path, frames, NTSC, **options)


def probe(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
        return stream.average_rate, stream.codec.name, stream.pix_fmt, frames


@pytest.mark.parametrize(("count", "size"), [(5, (65, 97)), (1, (64, 96)), (3, (241, 301))])
def test_video_in_video_out(tmp_path, options, capsys, count, size):
    source = write_video(tmp_path / "in.mp4", count, size)
    assert demo.main(options(source, tmp_path / "out.mp4")) == 0
    rate, codec, pixels, frames = probe(tmp_path / "out.mp4")
    assert (rate, codec, pixels) == (NTSC, "h264", "yuv420p")
    assert len(frames) == count
    assert min(frames[0].shape[:2]) >= 240
    left, right = frames[0][20, 20].astype(int), frames[0][20, -20].astype(int)
    assert np.abs(left - right).max() > 40  # two tracks, two colours
    frames = counted(count, "frames")
    assert f"out.mp4 ({frames}, 2 tracks" in capsys.readouterr().out


def test_uneven_times_are_kept(tmp_path, options):
    source = record(tmp_path / "in.mp4", pictures(5), ticks=[0, 1, 9, 10, 30], fps=10)
    assert demo.main(options(source, tmp_path / "out.mp4")) == 0
    assert [round(time * 10) for time in watch(tmp_path / "out.mp4")[1]] == [0, 1, 9, 10, 30]


def test_folder_in_folder_out(tmp_path, options):
    names = [f"img{i}.jpg" for i in (1, 2, 10)]
    source = write_video(tmp_path / "in", 3, (240, 320), names=names)
    assert demo.main(options(source, tmp_path / "out", "--score-threshold", "0.95")) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(names)
    for i, name in enumerate(names):
        frame = np.asarray(Image.open(tmp_path / "out" / name)).astype(int)
        assert np.abs(frame - (60 + 10 * i)).max() < 6  # natural order, no track above 0.95


def test_glob_to_video_and_limits(tmp_path, options):
    write_video(tmp_path / "in", 4, (64, 96))
    pattern = tmp_path / "in" / "*.png"
    assert demo.main(options(pattern, tmp_path / "a.mp4")) == 0
    assert probe(tmp_path / "a.mp4")[0] == 10  # images have no rate of their own
    more = ("--fps", "24000/1001", "--max-frames", "2", "--scale", "1")
    assert demo.main(options(pattern, tmp_path / "b.mp4", *more)) == 0
    rate, _, _, frames = probe(tmp_path / "b.mp4")
    assert (rate, len(frames), frames[0].shape) == (Fraction(24000, 1001), 2, (64, 96, 3))


def test_user_errors_are_one_line_with_status_2(tmp_path, options, capsys):
    video = write_video(tmp_path / "in.mp4", 1)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    other = tmp_path / "other.pth"
    torch.save({"model": {"other": torch.zeros(3)}}, other)
    links = tmp_path / "links"
    links.mkdir()
    (links / "0.png").symlink_to(write(tmp_path / "frames", pictures(1)) / "00000.png")
    moving, out = tmp_path / "moves/00000.png", tmp_path / "out.mp4"
    moving.parent.mkdir()
    images = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    images[0].save(moving, save_all=True, append_images=images[1:], duration=100)
    cases = (
        (options(tmp_path / "no.mp4", out), "no.mp4: no such file"),
        (options(tmp_path / "text.mp4", out), "text.mp4: not a video or image"),
        (options(tmp_path / "empty", out), "no frames"),
        (options(video, tmp_path / "out.avi"), "'.avi', allowed: .mp4"),
        (options(video, video), "in.mp4 exists already"),
        (options(video, video, "--overwrite"), "in.mp4: this is the input"),
        (options(links, tmp_path / "frames", "--overwrite"), "frames: this is the input"),
        (options(moving, moving.parent, "--overwrite"), "moves: this is the input"),
        (options(video, None), "nothing is to be written; give --output, --masks or --results"),
        (options(video, out, "--masks", str(video)), "suffix '.mp4', allowed: a folder"),
        (options(video, out, "--results", "a.txt"), "'.txt', allowed: .json"),
        (options(video, tmp_path / "o", "--masks", str(tmp_path / "o")), "both the video and the"),
        (
            options(video, tmp_path / "o/p", "--masks", str(tmp_path / "o")),
            "o/p: is below the folder of",
        ),
        (options(video, tmp_path / ".mp4"), ".mp4: has no name before .mp4"),
        (options(video, "/dev/null", "--overwrite"), "/dev/null is not a folder"),
        (options(video, out, "--classes", "cat"), "unknown class 'cat'; the model's classes: none"),
        (options(video, tmp_path / "a.gif", "--fps", "60"), "at most 50 frames a second"),
        (options(video, out, opts=("MODEL.WEIGHTS", "")), "MODEL.WEIGHTS is empty"),
        (options(video, out, opts=("MODEL.WEIGHTS", "no.pth")), "no.pth does not exist"),
        (options(video, out, opts=("MODEL.WEIGHTS", str(video))), "in.mp4 must end in one of .pth"),
        (
            options(video, out, opts=("MODEL.WEIGHTS", str(other))),
            "other.pth: no tensor has a name of",
        ),
        (options(video, out, opts=("MODEL.WIGHTS", "x")), "MODEL.WIGHTS"),
        (options(video, out, opts=("DATASETS.TEST", "('nowhere',)")), "'nowhere'"),
        (["--config-file", "no.yaml", "--input", "a", "--output", "b"], "no.yaml"),
    )
    for arguments, message in cases:
        assert demo.main(arguments) == 2, message
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
        assert error.startswith("demo.py: error: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "config.yaml", "empty", "frames", "in.mp4", "links", "model.pth", "moves", "other.pth",
        "text.mp4",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--fps", "0"), ("--fps", "1/0"), ("--fps", "fast"), ("--max-frames", "0"),
        ("--timeout", "-1"), ("--scale", "0"), ("--scale", "inf"), ("--score-threshold", "1.1"),
        ("--score-threshold", "nan"), ("--trail", "-1"), ("--trail", "100000000000000000000"),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_refused(options, capsys, option, value):
    with pytest.raises(SystemExit) as status:
        demo.main(options("in.mp4", "out.mp4", option, value))
    assert status.value.code == 2
    assert f"argument {option}: " in capsys.readouterr().err


def test_predictor_gives_the_model_what_it_wants():
    model = BrightestHalf()
    frames = np.zeros((4, 60, 100, 3), dtype=np.uint8)
    frames[..., 0] = 200  # red
    for image_format, channel in (("RGB", 0), ("BGR", 2)):
        predictor = VideoPredictor(
            model=model, min_size=30, max_size=40, image_format=image_format, class_names=["a"]
        )
        result = predictor.predict(iter(frames))
        video = model.seen
        assert [tuple(image.shape) for image in video["image"]] == [(3, 24, 40)] * 4
        assert all(image.dtype == torch.uint8 for image in video["image"])
        assert video["image"][0][channel].min() == 200
        assert video["image"][0].sum() == 200 * 24 * 40
        assert (video["height"], video["width"]) == (60, 100)
        assert result["pred_masks"][0].shape == (4, 60, 100)


def test_predictor_errors():
    predictor = VideoPredictor(model=BrightestHalf())
    with pytest.raises(ValueError, match="no frames"):
        predictor.predict([])
    assert list(predictor.stream([])) == []
    frames = [np.zeros((60, 100, 3), dtype=np.uint8), np.zeros((60, 90, 3), dtype=np.uint8)]
    for second in (frames[1], frames[0].astype(np.float32)):
        with pytest.raises(ValueError, match=r"frame 1 has shape \(60, .*0, 3\) and type"):
            predictor.predict([frames[0], second])
        with pytest.raises(ValueError, match="frame 1 has shape"):
            list(predictor.stream([frames[0], second]))
    with pytest.raises(ValueError, match="INPUT.FORMAT is .L.; allowed"):
        VideoPredictor(model=BrightestHalf(), image_format="L")


def test_the_page_says_how_to_install_what_it_needs(monkeypatch, options, capsys):
    for name in ("GRADIO_ANALYTICS_ENABLED", "GRADIO_TEMP_DIR", "HF_HUB_DISABLE_TELEMETRY",
                 "HF_HUB_OFFLINE", "no_proxy", "NO_PROXY"):  # fmt: skip
        monkeypatch.setenv(name, "")
    monkeypatch.setitem(sys.modules, "gradio", None)
    handler = signal.getsignal(signal.SIGTERM)
    arguments = [word for word in options("a", None) if word not in ("--input", "a")]
    try:
        assert load_app().main(arguments) == 2
    finally:
        signal.signal(signal.SIGTERM, handler)
    said = "app.py: error: gradio is not installed; pip install -e '.[app]'\n"
    assert capsys.readouterr().err == said
