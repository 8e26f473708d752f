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

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from simplevtr.formats.video_summary import VideoSummary

_LENGTH_BINS = 4
_WEIGHT = 10**6  # of a label with one video
_Profile = tuple[tuple[int, int], ...]  # (label, videos of the group with it), sorted by label


def split_videos(
    videos: Sequence[VideoSummary],
    *,
    val_videos: int,
    seed: int = 0,
    groups: Sequence[str] | None = None,
) -> list[bool]:
    """Choose the videos of the validation set.

    Args:
        videos: all videos; names must differ.
        val_videos: wanted number of videos for validation, at least 1 and fewer than there are.
        seed: any integer; another one gives another split.
        groups: for each video the name of its group, whose videos all go to one side; None lets
            each video be a group of its own.

    Returns:
        For each video whether it is for validation.

    Raises:
        ValueError: for names that repeat, a number of videos that leaves one side empty, or groups
            that do.
    """
    if len({video.name for video in videos}) != len(videos):
        raise ValueError("videos to split must have different names")
    if not 1 <= val_videos < len(videos):
        raise ValueError(
            f"{val_videos} of {len(videos)} videos for validation; each side needs at least one"
        )
    names = [video.name for video in videos] if groups is None else list(groups)
    members: dict[str, list[int]] = {}
    for index, name in zip(range(len(videos)), names, strict=True):
        members.setdefault(name, []).append(index)
    if len(members) < 2:
        raise ValueError(f"all videos are of one group, {names[0]!r}, which cannot be split")
    order = sorted(members, key=lambda name: group_digest(name, seed))
    labels = _labels(videos)
    counts = [Counter(label for i in members[name] for label in labels[i]) for name in order]
    chosen = _Search(counts, total=len(videos), wanted=val_videos).run()
    if not 0 < sum(len(members[order[g]]) for g in chosen) < len(videos):
        raise ValueError(f"the groups are too large to have about {val_videos} videos on one side")
    val = {index for g in chosen for index in members[order[g]]}
    return [index in val for index in range(len(videos))]


def group_digest(name: str, seed: int) -> str:
    """SHA-256 that orders groups, as 64 hexadecimal digits."""
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "surrogatepass")).hexdigest()


def names_digest(names: Iterable[str]) -> str:
    """SHA-256 of the names in sorted order, a line each: equal where two splits are equal."""
    lines = "".join(f"{name}\n" for name in sorted(names))
    return hashlib.sha256(lines.encode("utf-8", "surrogatepass")).hexdigest()


def length_bounds(lengths: Sequence[int], bins: int = _LENGTH_BINS) -> list[int]:
    """The greatest length of each part if the sorted lengths are cut into equal parts.

    Equal lengths stay together, so there may be fewer parts. The last bound is the greatest length.
    """
    ordered = sorted(lengths)
    cuts = (-(-len(ordered) * (k + 1) // bins) - 1 for k in range(bins))
    return sorted({ordered[max(0, cut)] for cut in cuts})


def _labels(videos: Sequence[VideoSummary]) -> list[list[Hashable]]:
    bounds = length_bounds([video.length for video in videos])
    return [
        [
            ("length", bisect_left(bounds, video.length)),
            *(("category", c) for c in video.categories),
        ]
        for video in videos
    ]


@dataclass
class _Search:
    """Local search over groups, which are numbered in the order of their digests.

    Label 0 is "a video": its weight exceeds what all others can gain, so size comes first. A
    deviation is n_val * total - target, an integer in units of 1 / total videos.
    """

    counts: list[Counter[Hashable]]  # videos of each group with each label
    total: int
    wanted: int

    def __post_init__(self) -> None:
        sums: Counter[Hashable] = Counter()
        owners: Counter[Hashable] = Counter()
        for count in self.counts:
            sums.update(count)
            owners.update(count.keys())
        names = sorted(sums, key=repr)
        number = {name: index for index, name in enumerate(names, start=1)}
        self.weights, self.deviations = [0], [-self.wanted * self.total]
        for name in names:
            alone = owners[name] == 1 and name[0] == "category"
            self.weights.append(_WEIGHT * 1000 if alone else max(1, _WEIGHT // sums[name]))
            self.deviations.append(0 if alone else -self.wanted * sums[name])
        self.weights[0] = 1 + sum(
            self.weights[number[name]] * (self.total * sums[name]) ** 2 for name in names
        )
        # Every video has one length, so the lengths' counts add up to the videos.
        self.sizes = [sum(n for key, n in c.items() if key[0] == "length") for c in self.counts]
        profiles = [
            ((0, size), *sorted((number[name], n) for name, n in count.items()))
            for size, count in zip(self.sizes, self.counts, strict=True)
        ]
        # Groups of one profile are alike: only one of them need be looked at.
        self.outside: dict[_Profile, list[int]] = {}
        for group in reversed(range(len(profiles))):  # the first in order is taken first
            self.outside.setdefault(profiles[group], []).append(group)
        self.profiles = list(dict.fromkeys(profiles))
        self.profile_of = profiles
        self.inside: dict[_Profile, list[int]] = {profile: [] for profile in self.profiles}

    def run(self) -> list[int]:
        """The groups for validation."""
        room = self.wanted
        for group, size in enumerate(self.sizes):
            if size <= room:
                room -= size
                self._take(self.profile_of[group])
        improved = True
        while improved:
            # A list, so that each profile is tried with the improvements before it made already.
            improved = any([self._improve(profile) for profile in (None, *self.profiles)])
        return sorted(group for groups in self.inside.values() for group in groups)

    def _improve(self, leaving: _Profile | None) -> bool:
        """Put the best groups in place of those of one profile (None: of none) while that helps."""
        improved = False
        while leaving is None or self.inside[leaving]:
            gain = 0
            if leaving is not None:
                gain = self._change(leaving, -1)
                self._give(leaving)
            entering = min(
                (profile for profile in self.profiles if self.outside[profile]),
                key=lambda profile: self._change(profile, 1),
                default=None,
            )
            best = 0 if entering is None else self._change(entering, 1)
            if best >= 0:
                entering, best = None, 0  # to let a group go may help alone
            if gain + best >= 0:
                if leaving is not None:
                    self._take(leaving)
                return improved
            if entering is not None:
                self._take(entering)
            improved = True
        return improved

    def _change(self, profile: _Profile, sign: int) -> int:
        """What the imbalance grows by if a group enters (1) or leaves (-1)."""
        change = 0
        for label, count in profile:
            step = sign * count * self.total
            change += self.weights[label] * step * (2 * self.deviations[label] + step)
        return change

    def _take(self, profile: _Profile) -> None:
        self.inside[profile].append(self.outside[profile].pop())
        for label, count in profile:
            self.deviations[label] += count * self.total

    def _give(self, profile: _Profile) -> None:
        self.outside[profile].append(self.inside[profile].pop())
        for label, count in profile:
            self.deviations[label] -= count * self.total
