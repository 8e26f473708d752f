"""Splitting the videos of a dataset in two, the same way wherever it is done.

Chance comes from SHA-256 of the seed and the videos' names and all arithmetic is on integers, so a
seed gives the same split on every machine, with every version of Python and in every order of the
videos in their file.

1. Videos that must stay together form a group; without a rule, each video is one. Groups are
   ordered by the SHA-256 of ``"<seed>\\n<name of the group>"``.
2. In that order, groups go into the validation set as long as they fit into its size.
3. As long as it lowers the imbalance, a group of the validation set is exchanged for another one,
   or a single group changes sides. The imbalance is the distance from the wanted number of videos
   and then, among splits of one size, the sum over all labels of (v - share * n)^2 / n, where n
   videos have the label and v of them are for validation (1 / n in whole millionths). The labels
   of a video are its categories and the quarter of the lengths that its own belongs to.
4. A category whose videos all are of one group (above all one with a single video) is kept for
   training, unless the wanted number of videos forbids that.

Hence the size is exact where each video is a group, and no exchange of two groups and no move of
one balances the result better. Unlike in the iterative stratification of Sechidis et al. (2011),
labels are not dealt with one after the other, so no label is given away for the one before it.
"""

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from simplevtr.toolbox.statistics import VideoSummary

_LENGTH_BINS = 4
_WEIGHT = 10**6  # of a label with one video
_Label = tuple[str, int]
_VIDEO = ("video", 0)  # a label of every video
_Profile = frozenset[tuple[_Label, int]]  # labels with the group's videos that have them
_NO_GROUP: _Profile = frozenset()


def split_videos(
    videos: Sequence[VideoSummary], *, val_videos: int, seed: int = 0, groups: Sequence[str] = ()
) -> list[bool]:
    """For each video whether it is for validation.

    ``groups`` are the names of the videos' groups, each of which goes to one side; without them,
    each video is one.

    Raises:
        ValueError: for names that repeat, a number of videos that leaves one side empty, or groups
            that do.
    """
    if len({video.name for video in videos}) != len(videos):
        raise ValueError("videos to split must have different names")
    if not 1 <= val_videos < len(videos):
        raise ValueError(f"{val_videos} of {len(videos)} videos for validation; each side needs 1")
    names = groups or [video.name for video in videos]
    order = sorted(set(names), key=lambda name: group_digest(name, seed))
    if len(order) < 2:
        raise ValueError(f"all videos are of one group, {names[0]!r}, which cannot be split")
    bounds = length_bounds([video.length for video in videos])
    counts: dict[str, Counter[_Label]] = {name: Counter() for name in order}
    for name, video in zip(names, videos, strict=True):
        counts[name].update([_VIDEO, ("length", bisect_left(bounds, video.length))])
        counts[name].update(("category", category) for category in video.categories)
    chosen = {order[group] for group in _Search([*counts.values()], wanted=val_videos).run()}
    is_val = [name in chosen for name in names]
    if not 0 < sum(is_val) < len(videos):
        raise ValueError(f"the groups are too large to have about {val_videos} videos on one side")
    return is_val


def group_digest(name: str, seed: int) -> str:
    """SHA-256 that orders groups, as 64 hexadecimal digits."""
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()


def names_digest(names: Iterable[str]) -> str:
    """SHA-256 of the names in sorted order, a line each: equal where two splits are equal."""
    lines = "".join(f"{name}\n" for name in sorted(names))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def length_bounds(lengths: Sequence[int]) -> list[int]:
    """The greatest length of each part if the sorted lengths are cut into four equal parts.

    Equal lengths stay together, so there may be fewer parts. The last bound is the greatest length.
    """
    ordered = sorted(lengths)
    cuts = (-(-len(ordered) * k // _LENGTH_BINS) - 1 for k in range(1, _LENGTH_BINS + 1))
    return sorted({ordered[max(0, cut)] for cut in cuts})


class _Search:
    """Local search over groups, in the order of their digests, of videos with each label."""

    def __init__(self, counts: Sequence[Counter[_Label]], wanted: int) -> None:
        sums = sum(counts, Counter())
        owners = Counter(label for count in counts for label in count)
        alone = {label for label, n in owners.items() if n == 1 and label[0] == "category"}
        self.weights = {
            label: _WEIGHT * 1000 if label in alone else max(1, _WEIGHT // n)
            for label, n in sums.items()
        }
        self.wanted, self.total = wanted, sums.pop(_VIDEO)
        # More than all other labels can gain, so size comes first.
        all_others = sum(self.weights[label] * (self.total * n) ** 2 for label, n in sums.items())
        self.weights[_VIDEO] = 1 + all_others
        # How far those for validation exceed the target, an integer in units of 1 / total videos.
        self.deviations = {label: 0 if label in alone else -wanted * n for label, n in sums.items()}
        self.deviations[_VIDEO] = -wanted * self.total
        # Groups of one profile are alike: so many of them are for validation, the first in order.
        self.taken: Counter[_Profile] = Counter()
        self.groups: dict[_Profile, list[int]] = {}
        for group, count in enumerate(counts):
            self.groups.setdefault(frozenset(count.items()), []).append(group)
        self.counts = counts

    def run(self) -> list[int]:
        """The groups for validation."""
        room = self.wanted
        for count in self.counts:
            if count[_VIDEO] <= room:
                room -= count[_VIDEO]
                self._move(frozenset(count.items()), 1)
        improved = True
        while improved:
            # A list, so that each profile is tried with the improvements before it made already.
            improved = any([self._improve(profile) for profile in (_NO_GROUP, *self.groups)])
        return [g for profile, groups in self.groups.items() for g in groups[: self.taken[profile]]]

    def _improve(self, leaving: _Profile) -> bool:
        """Put the best groups in place of those of one profile while that helps."""
        improved = False
        while not leaving or self.taken[leaving]:
            change = self._change(leaving, -1)
            self._move(leaving, -1)
            # Letting a group go may help alone.
            free = (p for p, groups in self.groups.items() if self.taken[p] < len(groups))
            entering = min([_NO_GROUP, *free], key=lambda profile: self._change(profile, 1))
            if change + self._change(entering, 1) >= 0:
                self._move(leaving, 1)
                break
            self._move(entering, 1)
            improved = True
        return improved

    def _change(self, profile: _Profile, sign: int) -> int:
        """What the imbalance grows by if a group enters (1) or leaves (-1)."""
        change = 0
        for label, count in profile:
            step = sign * count * self.total
            change += self.weights[label] * step * (2 * self.deviations[label] + step)
        return change

    def _move(self, profile: _Profile, sign: int) -> None:
        self.taken[profile] += sign
        for label, count in profile:
            self.deviations[label] += sign * count * self.total
