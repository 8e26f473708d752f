"""The evaluator that detectron2's ``inference_on_dataset`` feeds with a model's predictions."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from simplevtr.evaluation import ytvis_eval
from simplevtr.formats import checks, results
from simplevtr.formats.paths import AnyPath
from simplevtr.formats.ytvis import GroundTruth, load_ground_truth, require_objects

from detectron2.data import MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

logger = logging.getLogger(__name__)


class YTVISEvaluator(DatasetEvaluator):
    """Write predictions in YouTube-VIS format and, where there is ground truth, score them.

    Masks are run-length encoded as they come; nothing else of a prediction is kept. Those of all
    processes are gathered, and the main process writes and scores them.

    Args:
        dataset_name: a registered dataset whose metadata has ``json_file``, ``thing_classes``, the
            model's classes by label, and ``thing_dataset_id_to_contiguous_id``; predictions of
            classes without an id there are not written.
        output_dir: where ``results.json`` and ``submission.zip`` are written; None writes nothing.
        overwrite: whether files of these names in ``output_dir`` may be replaced.
        area_limits: between small, medium and large, in pixels (``TEST.AREA_LIMITS``).

    Raises:
        FileExistsError: ``output_dir`` holds such a file already and ``overwrite`` is False.
        FileNotFoundError, ValueError: the annotation file cannot be used.
        KeyError: the dataset's metadata lacks an entry.
    """

    def __init__(
        self,
        *,
        dataset_name: str,
        output_dir: AnyPath | None = None,
        overwrite: bool = False,
        area_limits: Sequence[float] = ytvis_eval.AREA_LIMITS,
    ) -> None:
        ytvis_eval.check_area_limits(area_limits)
        self._area_limits = tuple(area_limits)
        self._dataset_name, self._output_dir, self._overwrite = dataset_name, output_dir, overwrite
        self.reset()
        needed = ("json_file", "thing_dataset_id_to_contiguous_id", "thing_classes")
        known = MetadataCatalog.list()  # get() would add an unknown name
        about = MetadataCatalog.get(dataset_name).as_dict() if dataset_name in known else {}
        if missing := [key for key in needed if about.get(key) is None]:
            raise KeyError(
                f"dataset {dataset_name!r} has no {missing[0]!r} in its metadata; "
                f"known datasets: {', '.join(known)}"
            )
        json_file, to_contiguous, self._names = (about[key] for key in needed)
        self._category_ids = {label: dataset_id for dataset_id, label in to_contiguous.items()}
        self._gt: GroundTruth | Any = None
        if comm.is_main_process():  # the only one that needs it
            self._gt = load_ground_truth(PathManager.get_local_path(json_file))
            require_objects(self._gt.source, self._gt.tracks)
            unknown = set(to_contiguous) - {category.id for category in self._gt.categories}
            if unknown:
                raise ValueError(
                    f"{json_file} lacks the categories {sorted(unknown)} of {dataset_name}"
                )

    @property
    def metrics(self) -> list[str]:
        """The scores of any predictions; [] without ground truth and outside the main process."""
        if self._gt is None or not self._gt.tracks:
            return []
        present = self._gt.categories_in_use(())
        names = [category.name for category in self._gt.categories if category.id in present]
        return [*ytvis_eval.METRICS, *(f"AP-{name}" for name in names)]

    def reset(self) -> None:
        """Forget all predictions; FileExistsError if those to come could not be written."""
        if self._output_dir is not None:
            results.refuse_existing_results(self._output_dir, overwrite=self._overwrite)
        self._tracks: dict[int, list[dict]] = {}  # by video

    def process(self, inputs: list[dict], outputs: dict) -> None:
        """Take in the predictions for one video; ValueError if there are more, or they do not fit.

        Args:
            inputs: one dict with ``video_id``, ``length`` (T), ``height`` (H) and ``width`` (W).
            outputs: lists with one item per track: ``pred_ranking``, or ``pred_scores`` without it,
                float in [0, 1]; ``pred_labels``, contiguous int; ``pred_masks``, ``TrackMasks`` or
                a (T, H, W) bool tensor, in the video's pixels.
        """
        (video,) = inputs
        if video["video_id"] in self._tracks:
            return
        ranking = "pred_ranking" if "pred_ranking" in outputs else "pred_scores"
        columns = [outputs[key] for key in (ranking, "pred_labels", "pred_masks")]
        name, entries = f"video {video['video_id']}", []
        expected = (video["length"], video["height"], video["width"])
        for score, label, masks in zip(*columns, strict=True):
            score, label = checks.score(float(score), f"{name}: score"), int(label)
            if not 0 <= label < len(self._names):
                count = len(self._names)
                raise ValueError(f"{name}: unknown label {label}; there are {count} classes")
            if tuple(masks.shape) != expected:
                raise ValueError(f"{name}: masks are {tuple(masks.shape)}, (T, H, W) is {expected}")
            if label in self._category_ids:
                kind = self._category_ids[label], self._names[label]
                entries.append(results.track_entry(video["video_id"], *kind, score, masks))
        self._tracks[video["video_id"]] = entries

    def evaluate(self) -> dict:
        """Write the predictions and score them.

        Returns ``{"segm": {"AP": ..., ..., "AP-<category>": ...}}`` in per cent, NaN where there is
        no ground truth; ``{}`` if there is none at all, and in all processes but the main one.
        """
        comm.synchronize()
        gathered = comm.gather(self._tracks, dst=0)
        if not comm.is_main_process():
            return {}
        # Samplers may give a video to two processes; the first one counts.
        tracks = {video: own for part in reversed(gathered) for video, own in part.items()}
        entries = [entry for video_id in sorted(tracks) for entry in tracks[video_id]]
        videos = self._gt.videos
        if missing := sum(video.id not in tracks for video in videos):
            text = "%d of the %d videos of %s were not processed"
            logger.warning(text, missing, len(videos), self._dataset_name)
        if self._output_dir is not None:
            # Whether files may be replaced was settled before the predictions were made.
            paths = results.write_results(self._output_dir, entries, overwrite=True)
            logger.info("Wrote %s and %s", *paths)
        if not self._gt.tracks:
            logger.info("%s has no ground truth; nothing is scored", self._dataset_name)
            return {}
        predicted = results.check_results(
            entries, self._gt, source=f"results of {self._dataset_name}"
        )
        scores = ytvis_eval.evaluate_tracks(self._gt, predicted, area_limits=self._area_limits)
        logger.info("Track scores on %s:\n%s", self._dataset_name, ytvis_eval.scores_table(scores))
        by_category = {f"AP-{name}": row["AP"] for name, row in scores.per_category.items()}
        return OrderedDict(segm={**scores.stats, **by_category})
