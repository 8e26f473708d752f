"""A video as a stream: what comes out, when, and how much is held meanwhile."""

import weakref
from pathlib import Path

from simplevtr.data.build import build_test_loader
from simplevtr.data.ytvis import register_ytvis
from simplevtr.inference import VideoPredictor, wanted_in_result
from simplevtr.tracking import WindowSlots, frame_tracks
from simplevtr.video_io import open_source
from simplevtr.visualization import TrackPainter

import numpy as np
import pytest
import torch
from conftest import build
from detectron2.data import DatasetCatalog
from ytvis_folder import make_ytvis_folder


def video(frames, size=(32, 48)):
    draw = np.random.default_rng(0)
    for _ in range(frames):
        yield draw.integers(0, 255, (*size, 3), dtype=np.uint8)


@pytest.fixture
def predictor(tiny_cfg):
    tiny_cfg.TEST.WINDOW, tiny_cfg.TEST.STRIDE = 4, 2
    return VideoPredictor(model=build(tiny_cfg), min_size=0)


def test_the_stream_is_the_result_frame_by_frame(predictor):
    streamed = list(predictor.stream(video(9)))
    result = predictor.predict(video(9))
    again = list(frame_tracks(result))
    assert [frame.index for frame in streamed] == list(range(9))
    for one, two in zip(streamed, again, strict=True):
        assert dict(zip(one.track_ids, one.masks, strict=True)) == dict(
            zip(two.track_ids, two.masks, strict=True)
        )


@pytest.mark.parametrize("first", [np.zeros((0, 4, 3), np.uint8), None, "video.mp4"])
def test_a_first_frame_without_pixels_is_refused(predictor, first):
    """None is what OpenCV reads of a picture that is not there."""
    message = f"the first frame, of type {type(first).__name__}, has no pixels"
    for find in (predictor.predict, lambda frames: list(predictor.stream(frames))):
        with pytest.raises(ValueError, match=message):
            find([first])


@pytest.mark.parametrize("frame", [None, [[[0, 0, 0]] * 48] * 32, np.zeros((32, 48), np.uint8)])
def test_a_later_frame_of_another_kind_is_refused(predictor, frame):
    with pytest.raises(ValueError, match=r"frame 2 has shape .*; those .* must be \(32, 48, 3\)"):
        predictor.predict([*video(2), frame])


@pytest.mark.parametrize("planes", [False, True])
def test_a_reader_may_use_its_memory_again(predictor, planes):
    def same_memory():
        held = np.empty((3, 32, 48) if planes else (32, 48, 3), np.uint8)
        frame = held.transpose(1, 2, 0) if planes else held
        for own in video(9):
            frame[:] = own
            yield frame

    assert list(predictor.stream(same_memory())) == list(predictor.stream(video(9)))


def test_a_model_in_training_mode_streams_nothing(predictor):
    """Dropout would change the tracks, and the frames the model's statistics."""
    predictor.model.train()
    with pytest.raises(ValueError, match="in training mode"):
        list(predictor.stream(video(3)))


def test_too_small_a_memory_is_an_error_that_says_what_to_do(predictor, monkeypatch):
    def fail(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate ...")

    monkeypatch.setattr(predictor.model.network, "encode", fail)
    for find in (predictor.predict, lambda frames: list(predictor.stream(frames))):
        with pytest.raises(ValueError, match="memory is too small; .* --opts TEST.WINDOW 16"):
            find(video(3))


def test_the_delay_is_known(predictor):
    read = []

    def frames():
        for number, frame in enumerate(video(30)):
            read.append(number)
            yield frame

    late = [len(read) - 1 - tracks.index for tracks in predictor.stream(frames())]
    assert max(late) == 3  # TEST.WINDOW - 1


@pytest.mark.parametrize("length", [12, 60])
def test_a_window_of_frames_is_held_whatever_the_length(predictor, length):
    held = [0, 0]  # now, at most

    def gone():
        held[0] -= 1

    def images():
        for frame in video(length):
            image = torch.from_numpy(frame.transpose(2, 0, 1).copy())
            weakref.finalize(image, gone)
            held[0] += 1
            held[1] = max(held)
            yield image

    assert len(list(predictor.model.stream(images(), (32, 48)))) == length
    assert held[1] <= 4 + 2  # the window, the next frame, and the one before


@pytest.mark.parametrize("channels", ["RGB", "BGR"])
@pytest.mark.parametrize("size", [(96, 150), (40, 57)])
def test_the_predictor_and_the_evaluation_find_the_same(tiny_cfg, tmp_path, channels, size):
    """From the same folder of frames, whose JPEGs either is to decode and resize alike."""
    tiny_cfg.INPUT.FORMAT = channels
    tiny_cfg.INPUT.MIN_SIZE_TEST = 37
    tiny_cfg.TEST.WINDOW, tiny_cfg.TEST.STRIDE = 4, 2
    model = build(tiny_cfg)
    predictor = VideoPredictor(
        model=model, min_size=37, max_size=tiny_cfg.INPUT.MAX_SIZE_TEST, image_format=channels
    )
    register_ytvis("the_same", *make_ytvis_folder(tmp_path, videos=1, frames=6, size=size))
    (clips,) = build_test_loader(tiny_cfg, "the_same")
    (record,) = DatasetCatalog.get("the_same")
    assert clips[0]["image"][0].shape[1] == 37
    with torch.no_grad():
        evaluated = model(clips)
    shown = predictor.predict(open_source([str(Path(record["file_names"][0]).parent)]))
    for key in ("pred_scores", "pred_labels", "pred_ids", "pred_ranking"):
        assert shown[key] == evaluated[key]
    assert [t.rles for t in shown["pred_masks"]] == [t.rles for t in evaluated["pred_masks"]]
    assert len(shown["pred_ids"]) > 0


def test_an_object_of_one_window_in_ten_is_shown(predictor):
    """With its 0.95: in the stream, and in the result that the demo writes at its threshold."""

    def predict(network, batcher, images):
        slots = WindowSlots(
            probability=torch.tensor([0.01, 0.95]).expand(1, 4, 2),
            masks=torch.full((1, 4, 16, 24), 50.0),
            embedding=torch.ones(1, 8),
        )
        return slots if images[0].max() == 9 else slots.rows([])

    predictor.model.window_predictor = predict
    frames = [np.full((32, 48, 3), 9 if t == 8 else 0, dtype=np.uint8) for t in range(22)]
    streamed = [f for f in predictor.stream(frames) if f.track_ids]
    assert [f.scores for f in streamed] == [pytest.approx([0.95])] * len(streamed)
    result = wanted_in_result(predictor.predict(frames), TrackPainter([], min_score=0.3))
    assert result["pred_scores"] == pytest.approx([0.95])
    assert result["pred_labels"] == [1]
    # AP ranks it by the share of the windows that saw it, one of ten.
    assert result["pred_ranking"] == pytest.approx([0.095])
