import json

from simplevtr.formats.results import load_results, write_video_results
from simplevtr.formats.ytvis import check_ground_truth
from simplevtr.structures import TrackMasks

import numpy as np
import pytest
import torch
from pycocotools import mask as coco_mask
from track_samples import rle

SIZE = (20, 30)


def masks():
    found = torch.zeros(3, *SIZE, dtype=torch.bool)
    found[0, 2:6, 3:8] = True
    found[2, 10:12] = True
    return found


def encoded(dense):
    rles = [rle(mask) if mask.any() else None for mask in dense.numpy()]
    return TrackMasks(rles, tuple(dense.shape[1:]))


def result(*tracks):
    return {
        "image_size": SIZE,
        "pred_scores": [0.75] * len(tracks),
        "pred_labels": [1, 7][: len(tracks)],
        "pred_masks": list(tracks),
    }


def test_an_entry_a_track(tmp_path):
    path = tmp_path / "new" / "results.json"
    found = result(encoded(masks()), masks())
    assert write_video_results(path, found, class_names=["car", "cat"]) == path
    first, second = json.loads(path.read_text())
    assert {key: first[key] for key in first if key != "segmentations"} == {
        "video_id": 1, "score": 0.75, "category_id": 2, "category_name": "cat",
    }  # fmt: skip
    assert (second["category_id"], second["category_name"]) == (8, None)
    for entry in (first, second):
        assert entry["segmentations"][1] is None
        for t in (0, 2):
            decoded = coco_mask.decode(entry["segmentations"][t])
            np.testing.assert_array_equal(decoded, masks()[t].numpy())
    assert [p.name for p in path.parent.iterdir()] == ["results.json"]


def test_evaluation_reads_it(tmp_path):
    path = tmp_path / "results.json"
    write_video_results(path, result(encoded(masks())), category_ids=[3, 26], video_id=9)
    truth = {
        "videos": [{"id": 9, "height": 20, "width": 30, "length": 3}],
        "categories": [{"id": 26, "name": "cat"}],
        "annotations": None,
    }
    (entry,) = load_results(path, check_ground_truth(truth, source="truth"))
    assert (entry.video_id, entry.category_id) == (9, 26)


def test_what_is_there_stays_unless_it_may_be_replaced(tmp_path):
    path = tmp_path / "results.json"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="results.json exists already"):
        write_video_results(path, result())
    with pytest.raises(ValueError, match="label 7 has no category id; 2 are known"):
        write_video_results(path, result(masks(), masks()), category_ids=[3, 26], overwrite=True)
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]
    write_video_results(path, result(), overwrite=True)
    assert path.read_text() == "[]\n"
    with pytest.raises(ValueError, match=r"suffix '\.txt', allowed: \.json"):
        write_video_results(tmp_path / "results.txt", result())
