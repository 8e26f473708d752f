import json

from simplevtr.data.annotations import read_tracks
from simplevtr.data.coco_stills import load_coco_stills
from simplevtr.data.pseudo_video import AffineMotion, warp_image, warp_tracks

import numpy as np
from coco_stills_folder import SIZE, make_stills
from pycocotools import mask as coco_mask
from test_dataset_mapper import mapper_for

STILL = AffineMotion(translate=0, scale=1, rotate=0, shear=0)


def corners(matrices, size=SIZE):
    """(T, 4, 2) of the picture in the frames."""
    height, width = size
    points = np.array([[0, 0, 1], [width, 0, 1], [width, height, 1], [0, height, 1]])
    return points @ matrices.transpose(0, 2, 1)


def test_motion_is_smooth_random_and_bounded():
    motion = AffineMotion(translate=0.2, scale=1.5, rotate=20, shear=10)
    clips = [motion.draw(33, SIZE, np.random.default_rng(seed)) for seed in range(50)]
    for matrices in clips:
        assert matrices.shape == (33, 2, 3)
        moved = corners(matrices)
        steps = np.diff(moved, axis=0)
        assert np.abs(steps).max() < 8  # of 48 x 64 pixels
        assert np.abs(np.diff(steps, axis=0)).max() < 1.5  # the speed does not jump either
        shift = moved.mean(axis=1) - [32, 24]
        assert (np.abs(shift) <= [0.2 * 64 + 1e-9, 0.2 * 48 + 1e-9]).all()
        factor = np.sqrt(np.linalg.det(matrices[:, :, :2]))
        assert (factor <= 1.5 + 1e-9).all()
        assert (factor >= 1 / 1.5 - 1e-9).all()
        angle = np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0]))
        assert np.abs(angle).max() <= 20 + 1e-9
    every = np.concatenate(clips)
    angle = np.degrees(np.arctan2(every[:, 1, 0], every[:, 0, 0]))
    assert angle.min() < -15
    assert angle.max() > 15
    assert np.abs(corners(every).mean(axis=1)[:, 0] - 32).max() > 10
    again = motion.draw(33, SIZE, np.random.default_rng(0))
    assert (again == clips[0]).all()
    assert (clips[0] != clips[1]).any()


def test_parts_of_the_motion():
    """With only one of them on, the others leave their trace nowhere."""
    rng = np.random.default_rng(1)
    off = {"translate": 0, "scale": 1, "rotate": 0, "shear": 0}
    identity = np.array([[1, 0, 0], [0, 1, 0]])
    assert np.allclose(AffineMotion(**off).draw(5, SIZE, rng), identity)
    shift = AffineMotion(**off | {"translate": 0.5}).draw(5, SIZE, rng)
    assert np.allclose(shift[:, :, :2], np.eye(2))
    turn = AffineMotion(**off | {"rotate": 40}).draw(5, SIZE, rng)[:, :, :2]
    assert np.allclose(turn @ turn.transpose(0, 2, 1), np.eye(2))
    lean = AffineMotion(**off | {"shear": 30}).draw(5, SIZE, rng)[:, :, :2]
    assert np.allclose(lean[:, :, 0], [1, 0])
    assert np.allclose(lean[:, 1, 1], 1)
    assert np.abs(lean[:, 0, 1]).max() > 0.05
    for matrices in (shift, turn, lean):
        assert not np.allclose(matrices, matrices[0])


def still_tracks(*masks):
    frame = [
        {"id": i, "category_id": 0, "segmentation": coco_mask.encode(np.asfortranarray(mask))}
        for i, mask in enumerate(masks)
    ]
    return read_tracks([frame], masks[0].shape)


def decoded(text):
    return coco_mask.decode({"size": SIZE, "counts": text})


def blob(top, left, height, width):
    mask = np.zeros(SIZE, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


def shift_by(x, y):
    return np.array([[1, 0, x], [0, 1, y]], dtype=float)


def test_whole_pixels_move_exactly():
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    assert (warp_image(image, shift_by(0, 0)) == image).all()
    moved = warp_image(image, shift_by(5, -3))
    assert (moved[:-3, 5:] == image[3:, :-5]).all()
    assert np.abs(moved[:, :5] - image.mean(axis=(0, 1))).max() <= 1
    tracks = warp_tracks(still_tracks(blob(10, 10, 6, 7)), np.stack([shift_by(5, -3)] * 2))
    for text in tracks.texts.values():
        assert (decoded(text) == blob(7, 15, 6, 7)).all()


def test_masks_move_as_pixels_do():
    """A white shape on black is its own mask, at any angle and size."""
    mask = blob(12, 20, 20, 24)
    motion = AffineMotion(rotate=40, scale=1.5, shear=15).draw(6, SIZE, np.random.default_rng(3))
    tracks = warp_tracks(still_tracks(mask), motion)
    for text, matrix in zip(tracks.texts.values(), motion, strict=True):
        picture = warp_image(np.repeat(mask[:, :, None], 3, axis=2) * 255, matrix)[:, :, 0] > 127
        found = decoded(text).astype(bool)
        assert (picture & found).sum() / (picture | found).sum() > 0.99
        assert abs(picture.sum() / mask.sum() / np.linalg.det(matrix[:, :2]) - 1) < 0.05


def test_reduced_pictures_move_alike():
    """A smooth picture at half its size, moved, is the moved picture at half its size."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([2 * x, 3 * y, x + y], axis=2).astype(np.uint8)

    def half(a):
        return a.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3))

    motion = AffineMotion(rotate=20).draw(4, SIZE, np.random.default_rng(2))
    for matrix in motion:
        small = warp_image(half(image).astype(np.uint8), matrix, 2).astype(float)
        whole = half(warp_image(image, matrix).astype(float))
        assert np.median(np.abs(small - whole)) < 1.5


def test_what_leaves_the_frame_is_absent():
    motion = np.stack([shift_by(0, 0), shift_by(-30, 0)])
    tracks = warp_tracks(still_tracks(blob(10, 2, 5, 5), blob(10, 40, 5, 5)), motion)
    assert {*tracks.texts} == {(0, 0), (0, 1), (1, 1)}
    assert tracks.frames == 2
    assert (tracks.ids, tracks.classes) == ([0, 1], [0, 0])


def still_record(tmp_path, **options):
    return load_coco_stills(*make_stills(tmp_path, count=1, **options), ["cat", "dog"])[0]


def test_a_clip_of_a_still(tmp_path):
    record = still_record(tmp_path, suffix="png")
    clip = mapper_for(frames=5)(record)
    assert [image.shape for image in clip["image"]] == [(3, 48, 64)] * 5
    assert clip["frame_idx"] == [0, 1, 2, 3, 4]
    assert clip["length"] == len(clip["file_names"]) == 5
    assert [frame.gt_ids.tolist() for frame in clip["instances"]] == [[1]] * 5
    assert [frame.gt_classes.tolist() for frame in clip["instances"]] == [[0]] * 5
    boxes = np.stack([frame.gt_boxes.tensor.numpy() for frame in clip["instances"]])
    assert (boxes[0] != boxes[2]).any()
    for image, frame in zip(clip["image"], clip["instances"], strict=True):
        red = image[0].int() - image[1].int() > 95  # of 190 at most
        mask = frame.gt_masks.tensor[0]
        assert (red & mask).sum() / (red | mask).sum() > 0.97


def test_without_motion_all_frames_are_the_picture(tmp_path):
    clip = mapper_for(motion=STILL)(still_record(tmp_path, suffix="png"))
    for image in clip["image"]:
        assert (image[:, 10:30, 20:45].reshape(3, -1).T.numpy() == (230, 40, 40)).all()
        assert (image == clip["image"][0]).all()
    assert clip["instances"][0].gt_boxes.tensor.tolist() == [[20, 10, 45, 30]]


def test_the_seed_decides_and_the_record_stays(tmp_path):
    record = still_record(tmp_path)
    before = json.dumps(record)
    clips = [mapper_for(seed=seed)(record) for seed in (1, 1, 2)]
    means = [[float(image.float().mean()) for image in clip["image"]] for clip in clips]
    assert means[0] == means[1] != means[2]
    assert json.dumps(record) == before


def test_shuffled_frames_keep_their_masks(tmp_path):
    record = still_record(tmp_path, suffix="png")
    plain, shuffled = (mapper_for(shuffle=s, frames=8)(record) for s in (False, True))
    assert mapper_for(sampling="consecutive", frames=8)(record)["frame_idx"] == [*range(8)]
    assert sorted(shuffled["frame_idx"]) == plain["frame_idx"] != shuffled["frame_idx"]
    for image, frame in zip(shuffled["image"], shuffled["instances"], strict=True):
        red = image[0].int() - image[1].int() > 95
        mask = frame.gt_masks.tensor[0]
        assert (red & mask).sum() / (red | mask).sum() > 0.97
