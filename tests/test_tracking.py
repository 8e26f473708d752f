"""Windows of a stream become tracks of a video: cutting, linking, merging, returning."""

import gc

from simplevtr.tracking import (
    CollectedTracks,
    TrackingSettings,
    VideoSegmenter,
    VideoTracks,
    WindowSlots,
    linked,
    sliding_windows,
)
from simplevtr.tracking.linking import looks_alike
from simplevtr.tracking.mask_buffer import largest_piece

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

SIZE = (16, 24)  # of the original frames; masks are predicted at half of it


def stop(window):
    return window.start + len(window.frames)


@pytest.mark.parametrize(
    ("frames", "length", "stride", "expected"),
    [
        (10, 4, 3, [(0, 4, 3), (3, 7, 6), (6, 10, 9)]),
        (11, 4, 3, [(0, 4, 3), (3, 7, 6), (6, 10, 9), (7, 11, 11)]),  # the last one is full
        (9, 4, 4, [(0, 4, 4), (4, 8, 8), (5, 9, 9)]),
        (12, 0, 0, [(0, 12, 12)]),
        (12, 12, 3, [(0, 12, 3)]),
        (12, 20, 20, [(0, 12, 12)]),
        (1, 4, 2, [(0, 1, 1)]),
        (0, 4, 2, []),
    ],
)
def test_windows_overlap(frames, length, stride, expected):
    windows = list(sliding_windows(range(frames), length, stride))
    assert [(w.start, stop(w), w.settled) for w in windows] == expected
    for window in windows:
        assert window.frames == list(range(window.start, stop(window)))


def test_a_window_comes_as_soon_as_it_is_full():
    read = []

    def frames():
        for number in range(100):
            read.append(number)
            yield number

    windows = sliding_windows(frames(), 4, 2)
    next(windows)
    assert len(read) == 4
    next(windows)
    assert len(read) == 6


class Scene:
    """Squares that move by known paths; gives what a perfect network would predict of a window."""

    def __init__(self, *paths, classes=None):
        self.paths = paths  # of each object: frame -> x, or None where it cannot be seen
        self.classes = classes or list(range(len(paths)))

    def window(self, start, stop, order=None, scores=None):
        order = order if order is not None else range(len(self.paths))
        masks = torch.full((len(order), stop - start, SIZE[0] // 2, SIZE[1] // 2), -5.0)
        probability = torch.full((len(order), stop - start, 3), 0.01)
        embedding = torch.zeros(len(order), 4)
        for slot, who in enumerate(order):
            for t in range(start, stop):
                x = self.paths[who](t)
                if x is not None:
                    masks[slot, t - start, 2:6, x : x + 3] = 5.0
            probability[slot, :, self.classes[who]] = (scores or {}).get(who, 0.9)
            embedding[slot, who] = 1.0
        return WindowSlots(probability=probability, masks=masks, embedding=embedding)


def settings(**changes):
    limits = {"min_iou": 0.1, "min_agreement": 0.4, "min_looks": 0.5, "memory": 2}
    return TrackingSettings(**{**limits, **changes})


def track(scene, frames, length, stride, orders=None, own=None, scores=None):
    """Feed a scene's windows; returns the frames and the evidence of each track, by its id."""
    ended = {}
    video = VideoTracks(own or settings(), SIZE, on_end=ended.__setitem__)
    out = []
    for number, window in enumerate(sliding_windows(range(frames), length, stride)):
        slots = scene.window(window.start, stop(window), orders[number] if orders else None, scores)
        out += video.add(slots, start=window.start, settled=window.settled)
    out += video.finish()
    return out, dict(sorted(ended.items()))


def positions(frames, track_id):
    """Left edges of a track's masks by frame, in cells."""
    result = {}
    for frame in frames:
        if track_id in frame.track_ids:
            mask = frame.dense_masks()[frame.track_ids.index(track_id)]
            result[frame.index] = round(mask.any(0).argmax() / 2)
    return result


def test_tracks_keep_their_ids_whatever_slot_they_are_in():
    scene = Scene(lambda t: t % 8, lambda t: 8 - t % 8, classes=[0, 0])
    orders = [[0, 1], [1, 0], [0, 1], [1, 0]]
    frames, evidence = track(scene, 10, 4, 2, orders)
    assert [frame.index for frame in frames] == list(range(10))
    assert list(evidence) == [1, 2]
    assert positions(frames, 1) == {t: t % 8 for t in range(10)}
    assert positions(frames, 2) == {t: 8 - t % 8 for t in range(10)}


def test_each_frame_comes_when_no_window_can_change_it():
    scene = Scene(lambda t: 2)
    video = VideoTracks(settings(), SIZE)
    for start, before, settled in ((0, 0, 3), (3, 3, 6), (5, 6, 9)):
        out = video.add(scene.window(start, start + 4), start=start, settled=settled)
        assert [frame.index for frame in out] == [*range(before, settled)]
    assert video.finish() == []


def test_a_track_is_born_when_its_object_appears():
    scene = Scene(lambda t: 1, lambda t: 8 if t >= 6 else None)
    frames, evidence = track(scene, 12, 4, 2, orders=[[0], [0], [0, 1], [0, 1], [0, 1]])
    assert positions(frames, 1) == dict.fromkeys(range(12), 1)
    assert positions(frames, 2) == dict.fromkeys(range(6, 12), 8)
    assert len(evidence) == 2


def test_a_birth_needs_the_score_for_it():
    scene = Scene(lambda t: 1, lambda t: 8)
    orders = [[0], [0, 1], [0, 1]]
    strict = settings(birth_score=0.5)
    assert len(track(scene, 8, 4, 2, orders, strict, {1: 0.4})[1]) == 1
    assert len(track(scene, 8, 4, 2, orders, strict, {1: 0.6})[1]) == 2


def test_a_track_that_was_missing_is_taken_up_by_its_looks():
    scene = Scene(lambda t: 1, lambda t: 8 if t < 4 or t >= 8 else None)
    orders = [[0, 1], [0], [0], [0, 1], [0, 1]]
    frames, _ = track(scene, 12, 4, 2, orders)
    assert positions(frames, 2) == dict.fromkeys([0, 1, 2, 3, 8, 9, 10, 11], 8)
    # One window too long for its memory: a new track.
    _, evidence = track(scene, 12, 4, 2, orders, settings(memory=1))
    assert len(evidence) == 3


def test_masks_that_do_not_meet_are_two_tracks_even_if_they_look_alike():
    window = Scene(lambda t: 1).window(0, 4)
    elsewhere = Scene(lambda t: 8).window(2, 6)
    evidence = {}
    video = VideoTracks(settings(), SIZE, on_end=evidence.__setitem__)
    video.add(window, start=0, settled=2)
    video.add(elsewhere, start=2, settled=4)
    video.finish()
    assert len(evidence) == 2


def test_other_looks_start_a_new_track():
    scene = Scene(lambda t: 1 if t < 4 else None, lambda t: 8 if t >= 8 else None, classes=[0, 0])
    assert len(track(scene, 12, 4, 2, [[0], [], [], [1], [1]])[1]) == 2


def test_overlapping_masks_are_those_of_the_mean_logit():
    video = VideoTracks(settings(), SIZE)
    first, second = (Scene(lambda t: 2).window(0, 2) for _ in range(2))
    second.masks[0, :, 2:6, 4] = -8.0  # surer that this column is none of it
    video.add(first, start=0, settled=0)
    (frame, _) = video.add(second, start=0, settled=2)
    assert frame.dense_masks()[0].any(0).nonzero()[0].max() < 9


def test_looks_are_compared_on_the_cpu_wherever_the_network_is():
    with FakeTensorMode():  # knows the rules of devices and needs no GPU
        probability, embedding = torch.rand(3, 5), torch.rand(2, 8, device="cuda")
        tracks = probability.double(), torch.rand(3, 8, device="cuda")
        looks = looks_alike(tracks, (probability[:2].double(), embedding))
    assert (looks.shape, looks.device.type, looks.dtype) == ((3, 2), "cpu", torch.float32)


@pytest.mark.parametrize(
    ("iou", "looks", "comparable", "expected"),
    [
        # One good link is worth more than two poor ones.
        ([[0.95, 0.51], [0.51, 0.0]], [[0.9, 0.3], [0.3, 0.0]], True, [(0, 0)]),
        # Looks decide where masks are alike.
        ([[0.9, 0.9], [0.9, 0.9]], [[0.1, 0.8], [0.9, 0.2]], True, [(0, 1), (1, 0)]),
        # Looks alone need their own limit.
        ([[0.0]], [[0.6]], False, [(0, 0)]),
        ([[0.0]], [[0.4]], False, []),
        ([[0.0]], [[0.6]], True, []),
    ],
)
def test_links(iou, looks, comparable, expected):
    iou = torch.tensor(iou)
    known = torch.full(iou.shape, comparable)
    assert linked(iou, known, torch.tensor(looks), settings()) == expected


def test_class_and_score_are_evidence_over_all_windows():
    scene = Scene(lambda t: 2)
    evidence = {}
    video = VideoTracks(settings(), SIZE, on_end=evidence.__setitem__)
    for start, label, score in ((0, 0, 0.6), (2, 1, 0.9), (4, 1, 0.9)):
        window = scene.window(start, start + 4)
        window.probability[:] = 0.0
        window.probability[..., label] = score
        video.add(window, start=start, settled=start + 2)
    video.finish()
    assert evidence[1].label() == 1
    assert evidence[1].score() == pytest.approx(0.8)


def collect(frames, evidence, *, frames_predicted=8, score_threshold=0.0, **options):
    collected = CollectedTracks(SIZE, **options)
    collected.extend(frames)
    for track_id, own in evidence.items():
        collected.end(track_id, own)
    return collected.result(frames_predicted=frames_predicted, score_threshold=score_threshold)


def test_the_result_of_a_video():
    scene = Scene(lambda t: 1, lambda t: 8 if t >= 4 else None)
    result = collect(*track(scene, 8, 8, 8, scores={0: 0.5}))
    assert result["pred_ids"] == [2, 1]
    assert result["pred_labels"] == [1, 0]
    assert result["pred_scores"] == pytest.approx([0.9, 0.5])
    assert result["image_size"] == SIZE
    one = result["pred_masks"][0]
    assert one.shape == (8, *SIZE)
    assert one.dense().flatten(1).any(1).tolist() == [t >= 4 for t in range(8)]
    assert torch.equal(one[5], one.dense()[5])


def test_the_result_has_the_best_pairs_or_what_reaches_the_threshold():
    scene = Scene(lambda t: 1, lambda t: 8)
    frames, evidence = track(scene, 8, 4, 2, scores={0: 0.5})
    pairs = collect(frames, evidence, per_video=3)
    assert list(zip(pairs["pred_ids"], pairs["pred_labels"], strict=True))[:2] == [(2, 1), (1, 0)]
    assert len(pairs["pred_scores"]) == 3
    assert collect(frames, evidence, score_threshold=0.6)["pred_ids"] == [2]


def test_a_tracks_score_is_that_of_the_windows_that_saw_it():
    scene = Scene(lambda t: 1, lambda t: 8)
    orders = [[0], [0, 1], *[[0]] * 8]
    frames, evidence = track(scene, 22, 4, 2, orders, scores={0: 0.5, 1: 0.95})
    result = collect(frames, evidence, frames_predicted=40)
    assert result["pred_ids"] == [2, 1]
    assert result["pred_scores"] == pytest.approx([0.95, 0.5])
    # Only the order for AP asks how much of the video that was: one window of ten.
    assert result["pred_ranking"] == pytest.approx([0.095, 0.5])
    alike = collect(frames, evidence, frames_predicted=40, length_power=0.0)
    assert alike["pred_ranking"] == alike["pred_scores"]
    assert collect(frames, evidence, frames_predicted=40, per_video=1)["pred_ids"] == [1]
    assert collect(frames, evidence, frames_predicted=40, score_threshold=0.6)["pred_ids"] == [2]
    # What the stream said of it before.
    streamed = [frame.scores[1] for frame in frames if 2 in frame.track_ids]
    assert streamed == pytest.approx([0.95] * 4)


def test_a_track_without_a_mask_is_not_in_the_result():
    scene = Scene(lambda t: 1, lambda t: None)
    for length, stride in ((8, 8), (4, 2)):
        frames, evidence = track(scene, 8, length, stride)
        assert len(evidence) == 2
        result = collect(frames, evidence)
        assert result["pred_ids"] == [1]
        # Nor does it take one of the places.
        pairs = collect(frames, evidence, per_video=3)
        assert pairs["pred_ids"] == [1, 1, 1]


def test_duplicates_within_a_window_are_dropped():
    scene = Scene(lambda t: 2, lambda t: 2, lambda t: 8)
    own = settings(duplicate_iou=0.7)
    _, evidence = track(scene, 4, 4, 4, own=own, scores={0: 0.5})
    assert len(evidence) == 2
    assert max(e.score() for e in evidence.values()) > 0.8


def test_a_window_without_slots():
    scene = Scene(lambda t: 2)
    frames, evidence = track(scene, 8, 4, 2, orders=[[], [0], []])
    assert len(frames) == 8
    assert positions(frames, 1) == dict.fromkeys(range(2, 6), 2)
    assert len(evidence) == 1


def test_without_a_mask_head_tracks_have_no_masks():
    video = VideoTracks(settings(), SIZE)
    window = WindowSlots(
        probability=torch.rand(2, 4, 3), masks=torch.zeros(2, 4, 0, 0), embedding=torch.eye(2)
    )
    frames = video.add(window, start=0, settled=2) + video.finish()
    assert [frame.track_ids for frame in frames] == [[]] * 4


def strangers(frames):
    """A window with 20 objects that nobody saw before."""
    return WindowSlots(
        probability=torch.rand(20, len(frames), 3),
        masks=torch.ones(20, len(frames), 2, 3),
        embedding=torch.randn(20, 4),
    )


def held():
    """Bytes of all tensors, and the number of our objects: others may keep caches."""
    gc.collect()
    objects = gc.get_objects()
    plain = torch.Tensor, torch.nn.Parameter  # exported models hold tensors without data
    tensors = [item for item in objects if type(item) in plain]
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
    ours = [x for x in objects if str(getattr(type(x), "__module__", "")).startswith("simplevtr")]
    return sum(storages.values()), len(ours)


def segmenter(**changes):
    options = {"window": 4, "stride": 2, "score_threshold": 0.0, "tracks_per_video": 0,
               "length_power": 1.0}  # fmt: skip
    own = settings(min_iou=1.0, min_agreement=1.0, min_looks=1.0)
    return VideoSegmenter(**{**options, "tracking": own, **changes})


@pytest.mark.usefixtures("one_thread")
def test_a_stream_forgets_tracks_that_have_ended():
    after, born = {}, 0
    for frame in segmenter().stream(strangers, range(64), SIZE):
        born = max([born, *frame.track_ids])
        if frame.index in (20, 60):
            after[frame.index] = held()
    assert born > 600
    assert after[60][0] == after[20][0]  # bytes of tensors
    assert after[60][1] <= after[20][1] + 20  # objects


@pytest.mark.usefixtures("one_thread")
def test_a_video_keeps_of_ended_tracks_what_its_result_needs():
    tensors = {}

    def frames():
        for number in range(64):
            if number in (20, 60):
                tensors[number] = held()[0]
            yield number

    result = segmenter().segment(strangers, frames(), SIZE)
    assert len(result["pred_ids"]) > 600
    assert tensors[60] == tensors[20]


def test_a_track_is_an_own_copy_of_its_slot():
    video = VideoTracks(settings(), SIZE)
    slots = WindowSlots(
        probability=torch.rand(100, 4, 3), masks=torch.zeros(100, 4, 8, 12),
        embedding=torch.rand(100, 4),
    )  # fmt: skip
    video.add(slots, start=0, settled=2)
    assert {t.embedding.untyped_storage().nbytes() for t in video._tracks} == {16}


def test_the_last_masks_of_a_track_that_has_ended_are_not_lost():
    """Without a memory a track ends before the last frames of its window are final."""
    scene = Scene(lambda t: 2)
    frames, evidence = track(scene, 12, 6, 2, [[0], [], [], []], settings(memory=0))
    assert positions(frames, 1) == dict.fromkeys(range(6), 2)
    assert evidence[1].frames == 6


def test_what_scores_less_than_the_threshold_is_neither_streamed_nor_in_the_result():
    def predict(frames):
        return Scene(lambda t: 1, lambda t: 8).window(
            frames[0], frames[-1] + 1, scores={0: 0.5, 1: 0.9}
        )

    strict = segmenter(score_threshold=0.6, tracking=settings())
    assert {id for frame in strict.stream(predict, range(9), SIZE) for id in frame.track_ids} == {2}
    assert strict.segment(predict, range(9), SIZE)["pred_ids"] == [2]


@pytest.mark.parametrize(("gap", "left"), [(0, 6), (1, 6), (2, 7), (3, 9), (7, 9), (8, 14)])
def test_the_largest_piece_of_a_mask_and_what_is_near_it(gap, left):
    mask = torch.zeros(10, 16, dtype=torch.bool)
    mask[0, :6] = True
    mask[0, 8] = True  # two pixels further on
    mask[0, 12:14] = True  # three more
    mask[9, :5] = True  # eight rows below
    masks = torch.stack([mask, mask.flip(0), torch.zeros_like(mask)])
    found = largest_piece(masks, gap / 10)
    assert found.flatten(1).sum(1).tolist() == [left, left, 0]
    assert not (found & ~masks).any()
    assert found[0, 0, :6].all()
    assert torch.equal(largest_piece(masks.mT, gap / 10).mT, found)


def test_tracks_lose_far_pieces_if_the_settings_say_so():
    scene = Scene(lambda t: 2)
    window = scene.window(0, 4)
    window.masks[:, :, -1, -1] = window.masks.max()
    for gap, pieces in ((0.0, True), (0.1, False)):
        video = VideoTracks(settings(piece_gap=gap), SIZE)
        (frame, *_) = video.add(window, start=0, settled=4)
        assert frame.dense_masks()[0][-1, -1] == pieces
        assert frame.dense_masks()[0][:, 4:6].any()
