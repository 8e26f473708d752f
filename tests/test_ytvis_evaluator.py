import json
import logging
import math
import multiprocessing
import zipfile

from simplevtr.evaluation.ytvis_evaluator import YTVISEvaluator
from simplevtr.structures import TrackMasks, encode_masks

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.utils import comm
from json_files import save_json
from track_samples import HEIGHT, LENGTH, WIDTH, annotation, box, ground_truth

NAME = "test_ytvis_evaluator"
CATEGORY_IDS = {3: 0, 7: 1}  # to contiguous labels
TRACKS = {  # by video: (label, masks)
    1: [(0, [box(0, 0, 4, 4)] * 3), (1, [box(4, 1, 7, 5), None, box(4, 2, 7, 6)])],
    2: [(1, [None, box(1, 1, 8, 3), box(0, 1, 7, 3)])],
    5: [(0, [box(2, 0, 3, 6)] * 3)],
}


def content():
    ids = {label: number for number, label in CATEGORY_IDS.items()}
    tracks = [(video, *track) for video in TRACKS for track in TRACKS[video]]
    annotations = [
        annotation(number, masks, video_id=video, category_id=ids[label])
        for number, (video, label, masks) in enumerate(tracks, start=1)
    ]
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    return ground_truth(annotations, videos=tuple(TRACKS)) | {"categories": categories}


@pytest.fixture
def dataset(tmp_path):
    """Registers the dataset; gives the path of its annotation file."""
    path = tmp_path / "truth.json"
    MetadataCatalog.get(NAME).set(
        json_file=save_json(path, content()),
        thing_dataset_id_to_contiguous_id=CATEGORY_IDS,
        thing_classes=["cat", "dog"],
    )
    yield path
    MetadataCatalog.remove(NAME)


def video_input(video, **more):
    size = {"height": HEIGHT, "width": WIDTH, "length": LENGTH}
    return [{"video_id": video, **size, "file_names": [], **more}]


def perfect(video, **more):
    tracks = TRACKS[video]
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    return {
        "image_size": (HEIGHT, WIDTH),
        "pred_scores": [0.9 - 0.1 * i for i in range(len(tracks))],
        "pred_labels": [label for label, _ in tracks],
        "pred_masks": [
            torch.from_numpy(np.stack([nothing if m is None else m for m in masks]))
            for _, masks in tracks
        ],
        **more,
    }


def fed(*videos, **options):
    """An evaluator of these videos' perfect predictions."""
    evaluator = YTVISEvaluator(dataset_name=NAME, **options)
    evaluator.reset()
    for video in videos:
        evaluator.process(video_input(video), perfect(video))
    return evaluator


def test_run_length_encoded_tracks_are_written_as_they_are(dataset):
    packed = [TrackMasks(encode_masks(m), m.shape[1:]) for m in perfect(1)["pred_masks"]]
    evaluator = fed()
    evaluator.process(video_input(1), perfect(1, pred_masks=packed))
    assert evaluator._tracks == fed(1)._tracks


def test_perfect_predictions(dataset, caplog):
    with caplog.at_level(logging.INFO):
        scores = fed(5, 1, 2).evaluate()["segm"]
    for key in ("AP", "AP50", "AP75", "APs", "AR1", "AR10", "ARs", "AP-cat", "AP-dog"):
        assert scores[key] == pytest.approx(100), key
    assert math.isnan(scores["APl"])
    assert "100.000" in caplog.text
    assert "dog" in caplog.text


def test_written_files(dataset, tmp_path):
    fed(5, 1, 2, output_dir=tmp_path / "out").evaluate()
    written = (tmp_path / "out" / "results.json").read_bytes()
    entries = json.loads(written)
    assert [(e["video_id"], e["category_id"]) for e in entries] == [(1, 3), (1, 7), (2, 7), (5, 3)]
    assert entries[2]["segmentations"][0] is None
    assert entries[2]["segmentations"][1]["size"] == [HEIGHT, WIDTH]
    with zipfile.ZipFile(tmp_path / "out" / "submission.zip") as archive:
        assert archive.namelist() == ["results.json"]
        assert archive.read("results.json") == written


def test_second_time_a_video_comes_is_ignored(dataset):
    evaluator = fed(1, 2, 5)
    evaluator.process(video_input(1), perfect(1, pred_labels=[1, 0]))
    assert evaluator.evaluate()["segm"]["AP"] == pytest.approx(100)


def test_reset_forgets(dataset, caplog):
    evaluator = fed(1, 2, 5)
    evaluator.reset()
    assert evaluator.evaluate()["segm"]["AP"] == 0
    assert "3 of the 3 videos" in caplog.text


@pytest.mark.parametrize("name", ["results.json", "submission.zip"])
def test_existing_files_are_refused_at_once(dataset, tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=rf"{name}.*OUTPUT_DIR.*overwrite"):
        YTVISEvaluator(dataset_name=NAME, output_dir=tmp_path)
    assert (tmp_path / name).read_text() == "precious"
    fed(*TRACKS, output_dir=tmp_path, overwrite=True).evaluate()
    assert (tmp_path / name).read_bytes() != b"precious"


def test_an_evaluation_does_not_replace_the_one_before(dataset, tmp_path):
    """One evaluator may score several models in turn, and several write to one folder."""
    first, second = (fed(*TRACKS, output_dir=tmp_path) for _ in range(2))
    first.evaluate()
    before = (tmp_path / "results.json").read_bytes()
    for evaluator in (first, second):
        with pytest.raises(FileExistsError, match=r"results\.json exists already"):
            evaluator.reset()
    assert (tmp_path / "results.json").read_bytes() == before


def test_bad_datasets(dataset):
    with pytest.raises(KeyError, match="no_such_dataset.*json_file.*" + NAME):
        YTVISEvaluator(dataset_name="no_such_dataset")
    assert "no_such_dataset" not in MetadataCatalog.list()
    gt = content()
    save_json(dataset, gt | {"categories": gt["categories"][:1], "annotations": None})
    with pytest.raises(ValueError, match=r"lacks the categories \[3\]"):
        YTVISEvaluator(dataset_name=NAME)
    dataset.unlink()
    with pytest.raises(FileNotFoundError, match=r"truth\.json"):
        YTVISEvaluator(dataset_name=NAME)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_labels": [0, 2]}, r"video 1: unknown label 2; there are 2 classes"),
        ({"pred_scores": [0.5, float("nan")]}, "video 1: score is nan; it must be a number"),
        ({"pred_scores": [0.5, 1.5]}, "video 1: score is 1.5"),
        ({"pred_masks": [torch.zeros(3, 8, 6)] * 2}, r"video 1: masks are \(3, 8, 6\)"),
    ],
)
def test_bad_predictions(dataset, change, message):
    evaluator = YTVISEvaluator(dataset_name=NAME)
    with pytest.raises(ValueError, match=message):
        evaluator.process(video_input(1), perfect(1, **change))


def _evaluate_in_process(rank, folder, answers):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2
    )
    comm.create_local_process_group(2)
    # Video 1 comes to both.
    evaluator = fed(*[[1, 5], [2, 1]][rank], output_dir=folder / "out")
    answers.put((rank, evaluator.evaluate()))
    torch.distributed.destroy_process_group()


def test_two_processes_give_what_one_gives(dataset, tmp_path):
    expected = fed(1, 2, 5, output_dir=tmp_path / "alone").evaluate()

    context = multiprocessing.get_context("fork")  # spawned ones would import torch again
    answers = context.SimpleQueue()
    processes = [
        context.Process(target=_evaluate_in_process, args=(rank, tmp_path, answers), daemon=True)
        for rank in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        if process.is_alive():
            process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    by_rank = dict(answers.get() for _ in processes)
    assert by_rank[1] == {}
    np.testing.assert_equal(by_rank[0], expected)
    one, two = (tmp_path / name / "results.json" for name in ("alone", "out"))
    assert one.read_bytes() == two.read_bytes()
