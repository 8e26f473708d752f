"""A video as a stream: what comes out, when, and how much is held meanwhile."""

import weakref

from simplevtr.inference import VideoPredictor
from simplevtr.tracking import frame_tracks

import numpy as np
import pytest
import torch
from conftest import build


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
    again = list(frame_tracks(result, 9))
    assert [frame.index for frame in streamed] == list(range(9))
    for one, two in zip(streamed, again, strict=True):
        assert dict(zip(one.track_ids, one.masks, strict=True)) == dict(
            zip(two.track_ids, two.masks, strict=True)
        )


def test_the_delay_is_known(predictor):
    read = []

    def frames():
        for number, frame in enumerate(video(30)):
            read.append(number)
            yield frame

    late = [len(read) - 1 - tracks.index for tracks in predictor.stream(frames())]
    assert max(late) == predictor.model.segmenter.delay == 3


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


def test_a_video_without_frames(predictor):
    assert list(predictor.stream([])) == []
    with pytest.raises(ValueError, match="no frames"):
        predictor.predict([])


def test_frames_of_different_sizes_are_refused(predictor):
    frames = [*video(2), *video(1, (32, 40))]
    with pytest.raises(ValueError, match=r"frame 2 has shape \(32, 40, 3\)"):
        list(predictor.stream(frames))
