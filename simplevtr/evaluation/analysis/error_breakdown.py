"""What each kind of error costs: TIDE (Bolya et al., 2020, sections 2 and 3) on tracks.

Tracks are matched as for AP50. A prediction that then has no match and lies on no crowd is an error
of one kind, the first of these that holds; IoUs are track IoUs, "foreground" and "background" the
thresholds 0.5 and 0.1:

- id_switch: it is a piece of a broken true track (below);
- duplicate: it reaches foreground with a true track of its category, which is taken;
- class: it reaches foreground with a true track of another category;
- localisation: it reaches background with a true track of its category;
- both: it reaches background with a true track of another category;
- background: it reaches background with no true track.

A true track is broken if no prediction of its category reaches foreground, but two or more in turn
do: in each frame the mask with the greatest IoU among the unmatched predictions of its category
is taken if that IoU reaches foreground, and the masks taken, as one track, reach foreground too.
A true track is missed if it has no match, is not broken, and is the aim of no class and no
localisation error.

TIDE has no broken tracks, and prefers localisation to class where both hold. ``id_switch`` counts
broken tracks; the switches of CLEAR MOT (``id_switches``) are another number.
"""

import math
from collections import Counter
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from simplevtr.evaluation.analysis.track_matching import match_video
from simplevtr.evaluation.scored_video import ScoredVideo, frame_iou, scored_videos, track_iou
from simplevtr.evaluation.ytvis_eval import MAX_TRACKS, evaluate_tracks
from simplevtr.formats.film_strips import FilmStrip, join_frames
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, TrueTrack
from simplevtr.terminal import markdown_table

import numpy as np

KINDS = ("class", "localisation", "both", "id_switch", "duplicate", "background", "missed")
FOREGROUND, BACKGROUND = 0.5, 0.1


@dataclass(frozen=True)
class ErrorBreakdown:
    """What ``break_down_errors`` finds."""

    ap50: float  # in per cent as it is; NaN if no true track is there
    # kind -> what AP50 gains, in points, if errors of this kind alone are put right; NaN if
    # ``ap50`` is. The gains do not add up to 100 less ``ap50``.
    gains: dict[str, float]
    # kind -> how many there are: true tracks for ``id_switch`` and ``missed``, predictions for the
    # others. Predictions count regardless of their score.
    counts: dict[str, int]


@dataclass
class _VideoErrors:
    """The errors of one video; rows are indices of predictions, columns of true tracks."""

    scored: ScoredVideo
    matches: dict[int, int]  # row -> column
    joined: dict[int, tuple[list[int], FilmStrip]]  # broken column -> its pieces, and as one
    kinds: dict[int, str]  # row -> kind of error
    aims: dict[int, int]  # row -> column, of class and localisation errors
    missed: list[int]  # columns


def break_down_errors(gt: GroundTruth, results: list[PredictedTrack]) -> ErrorBreakdown:
    """Find the errors of each kind and what AP50 gains if they are put right.

    What putting right means: a class error gets the category of its aim, a localisation error its
    masks (of several predictions of a true track then, the one with the best score is kept); the
    pieces of a broken track become one prediction with the best of their scores; duplicates, "both"
    and background errors are left out; missed tracks are taken out of the ground truth, and a
    category of which none is left to find counts as 100.

    As for AP, the best 100 predictions per video and category count. ValueError if there are no
    annotations.
    """
    videos = [_errors_of_video(_limited(own)) for own in scored_videos(gt, results, "errors")]
    found = Counter(kind for video in videos for kind in video.kinds.values())
    counts = {kind: found[kind] for kind in KINDS}
    counts["id_switch"] = sum(len(video.joined) for video in videos)
    counts["missed"] = sum(len(video.missed) for video in videos)
    before = _ap50(gt, videos)
    if not before:
        return ErrorBreakdown(math.nan, dict.fromkeys(KINDS, math.nan), counts)
    ap50, gains = fmean(before.values()), dict.fromkeys(KINDS, 0.0)
    for kind in (kind for kind in KINDS if counts[kind]):
        after = _ap50(gt, videos, kind)
        # Where nothing is left to find, all is.
        gains[kind] = fmean(after.get(name, 100.0) for name in before) - ap50
    return ErrorBreakdown(ap50, gains, counts)


def errors_table(errors: ErrorBreakdown) -> str:
    """The kinds with their numbers and gains as a Markdown table; "nan" without ground truth."""
    rows = [
        [kind.replace("_", " "), str(errors.counts[kind]), f"{errors.gains[kind]:.3f}"]
        for kind in KINDS
    ]
    return markdown_table(["kind of error", "number", "AP50 gained"], rows)


def _limited(scored: ScoredVideo) -> ScoredVideo:
    """The video with those predictions only that count for AP."""
    own = np.array([entry.category_id for entry in scored.predicted])
    best = [np.flatnonzero(own == category)[: MAX_TRACKS[-1]] for category in np.unique(own)]
    return scored.with_predicted(sorted(row for rows in best for row in rows.tolist()))


def _errors_of_video(scored: ScoredVideo) -> _VideoErrors:
    matches, on_crowd, iou = match_video(scored, iou_threshold=FOREGROUND)
    wrong = sorted(set(range(len(iou))) - set(matches) - set(on_crowd))
    same = scored.same_category(scored.true)
    own, other = np.where(same, iou, 0.0), np.where(same, 0.0, iou)
    joined = _broken_tracks(scored, own, wrong, matches)
    kinds = {row: _kind(own[row], other[row]) for row in wrong}
    kinds |= {row: "id_switch" for pieces, _ in joined.values() for row in pieces}
    aimed = {"class": other, "localisation": own}
    aims = {row: int(aimed[kind][row].argmax()) for row, kind in kinds.items() if kind in aimed}
    seen = {*matches.values(), *joined, *aims.values()}
    missed = [column for column in range(len(scored.true)) if column not in seen]
    return _VideoErrors(scored, matches, joined, kinds, aims, missed)


def _kind(own: np.ndarray, other: np.ndarray) -> str:
    """Kind of an error by its (true,) IoUs with tracks of its own and of other categories."""
    same, different = own.max(initial=0.0), other.max(initial=0.0)
    if same >= FOREGROUND:
        return "duplicate"
    if different >= FOREGROUND:
        return "class"
    if same >= BACKGROUND:
        return "localisation"
    return "both" if different >= BACKGROUND else "background"


def _broken_tracks(
    scored: ScoredVideo, own: np.ndarray, wrong: list[int], matches: dict[int, int]
) -> dict[int, tuple[list[int], FilmStrip]]:
    """For each broken true track its pieces and what they are together."""
    size: Any = {"height": scored.video.height, "width": scored.video.width}
    broken = {}
    for column, track in enumerate(scored.true):
        rows = [row for row in wrong if own[row, column] > 0]
        reached = column in matches.values() or own[:, column].max(initial=0.0) >= FOREGROUND
        if reached or len(rows) < 2:
            continue
        mine: list[TrueTrack | PredictedTrack] = [track, *(scored.predicted[row] for row in rows)]
        true, *masks = scored.masks_by_frame(mine)
        parts, pieces = [], set()
        for whole, frame in zip(true, zip(*masks, strict=True), strict=True):
            iou = frame_iou([whole], frame)[0]
            best = int(iou.argmax())
            found = iou[best] >= FOREGROUND
            parts.append(frame[best] if found else None)
            pieces |= {rows[best]} if found else set()
        (joined,) = join_frames([parts], **size)
        if len(pieces) > 1 and track_iou([joined], [track.strip])[0, 0] >= FOREGROUND:
            broken[column] = sorted(pieces), joined
    return broken


def _ap50(gt: GroundTruth, videos: list[_VideoErrors], kind: str | None = None) -> dict[str, float]:
    """AP50 by category with a true track, in per cent, with the errors of one kind put right."""
    true, results = [], []
    for errors in videos:
        dropped = errors.missed if kind == "missed" else ()
        true += [track for c, track in enumerate(errors.scored.true) if c not in dropped]
        true += errors.scored.crowds
        results += _put_right(errors, kind)
    scores = evaluate_tracks(replace(gt, tracks=true), results)
    ap50 = {name: row["AP50"] for name, row in scores.per_category.items()}
    return {name: ap for name, ap in ap50.items() if not math.isnan(ap)}


def _put_right(errors: _VideoErrors, kind: str | None) -> list[PredictedTrack]:
    """The video's predictions with the errors of one kind put right."""
    predicted = dict(enumerate(errors.scored.predicted))
    rows = [row for row, own in errors.kinds.items() if own == kind]
    if kind in ("class", "localisation"):
        keeper = {column: row for row, column in errors.matches.items()}
        for row in rows:
            column = errors.aims[row]
            true = errors.scored.true[column]
            predicted[row] = replace(predicted[row], category_id=true.category_id, strip=true.strip)
            if column in keeper:
                predicted.pop(max(row, keeper[column]))  # the rows go by score, best first
            keeper[column] = min(row, keeper.get(column, row))
    else:
        for row in rows:
            predicted.pop(row)
    put_right = list(predicted.values())
    if kind == "id_switch":
        # A piece may belong to two broken tracks, as where two objects swap their predictions.
        put_right += [
            replace(errors.scored.predicted[min(pieces)], strip=strip)
            for pieces, strip in errors.joined.values()
        ]
    return put_right
