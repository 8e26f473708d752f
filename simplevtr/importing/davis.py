"""DAVIS and YouTube-VOS: a PNG of object numbers for each frame."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from simplevtr.formats import checks
from simplevtr.importing import sources
from simplevtr.importing.categories import numbered_categories
from simplevtr.importing.dataset import (
    FRAMES,
    BrokenVideoError,
    ImportedDataset,
    ImportLog,
    Rle,
    naming,
    require_choice,
)
from simplevtr.importing.davis_folders import chosen_videos, image_folder, label_folder
from simplevtr.importing.draft import VideoDraft
from simplevtr.importing.label_pictures import png_size, read_object_numbers
from simplevtr.importing.shapes import from_labels

_ONLY_CATEGORY = "object"  # where none is named, as in DAVIS
_WHITE = 255  # void, or in pictures that know nothing else the object
_VOID_NOTE = "frames with void pixels, taken as background (see --void)"


def read_davis(
    source: Path,
    *,
    images: Path | None = None,
    skip_broken: bool = False,
    frames: str = "annotated",
    void: int | None = None,
    subfolder: str = "",
    videos: str | Path | None = None,
) -> ImportedDataset:
    """Read ``Annotations/<video>/<frame>.png`` with frames ``JPEGImages/<video>/<frame>.jpg``.

    The palette index, grey level or colour of a pixel tells its object, 0 or black the background.
    With a ``meta.json`` as YouTube-VOS has it, objects have its categories. Without, and where it
    names none, they are of the category "object".

    Args:
        source: the folder of ``Annotations``, or of ``Annotations_unsupervised`` if there is no
            other, or one of these.
        images: the folder of the videos' frames; None: ``JPEGImages`` next to the annotations.
        skip_broken: as in all readers.
        frames: "annotated" imports the frames that have a PNG, "all" the other ones too, as frames
            without any object.
        void: the index of pixels that are neither object nor background; they become background,
            as YouTube-VIS cannot express them. -1: none. None: 255, unless no picture of the
            import has any other value than 0 and 255, where 255 is the object.
        subfolder: a folder between ``Annotations`` or ``JPEGImages`` and the videos; "": the only
            one there is, such as "480p" in DAVIS, or none.
        videos: a text file that lists the videos to import, one in a line, or the name of one in
            ``ImageSets``, such as "2017/val"; None: all.
    """
    require_choice("frames", frames, FRAMES)
    log = ImportLog(skip_broken=skip_broken)
    labels = label_folder(source, subfolder)
    root = sources.require_folder(images or image_folder(labels), "the videos' frames (--images)")
    metas = (folder / "meta.json" for folder in (source, *labels.parents[:2]))
    meta = next(filter(Path.is_file, metas), None)
    objects = None if meta is None else _read_meta(meta, log)
    reader = _Reader(root, frames == "all", void, objects, log)
    drafts = log.videos(chosen_videos(labels, source, videos), reader.draft)
    reader.decide_on_white(drafts)
    found = log.videos(drafts, lambda draft: draft.finished(root))
    names = {_ONLY_CATEGORY}
    if objects is not None:
        names = {name for of_video in objects.values() for name in of_video.values()}
    return log.dataset(root, found, numbered_categories(sorted(names)))


@dataclass
class _Reader:
    """The options, and what was found in the videos so far.

    Attributes:
        objects: video -> object number -> category; None without a meta.json.
        values: that the pictures have besides 0.
        white: what is 255, of which all pictures decide what it is.
    """

    root: Path
    all_frames: bool
    void: int | None
    objects: dict[str, dict[int, str]] | None
    log: ImportLog
    values: set[int] = field(default_factory=set)
    white: list[tuple[VideoDraft, str, Path, Rle]] = field(default_factory=list)

    def draft(self, folder: Path) -> VideoDraft:
        """A video without what is 255 if ``void`` does not say what that means."""
        if self.objects is not None and folder.name not in self.objects:
            raise ValueError(f"{folder}: is a video that meta.json does not have")
        pictures = sources.files_of(folder, ".png")
        if not pictures:
            hint = "; are the videos deeper? (--subfolder)" if sources.sub_folders(folder) else ""
            raise ValueError(f"{folder}: holds no PNG{hint}")
        images = sources.frames_of(self.root / folder.name)
        frames, pictures = sources.with_annotations(
            images, pictures, every=self.all_frames, what="PNG", log=self.log
        )
        stated = {name: png_size(path) for name, path in pictures.items()}
        draft = VideoDraft(self.log, folder.name, frames, stated=stated)
        kinds: dict[bool | None, Path] = {}
        for name, path in pictures.items():
            with draft.frame(name, path):
                self._add_picture(path, name, draft, kinds)
        return draft

    def _add_picture(
        self, path: Path, frame: str, draft: VideoDraft, kinds: dict[bool | None, Path]
    ) -> None:
        """Add the objects of a picture; ``kinds`` holds one of each kind that the video has."""
        numbers, coloured = read_object_numbers(path, draft.size)
        kinds.setdefault(coloured, path)
        if True in kinds and False in kinds:
            raise BrokenVideoError(
                "tells objects by colours or by numbers (a palette or grey levels), and "
                f"{kinds[not coloured].name} of the same video by the other; save all in one way"
            )
        for number, mask in from_labels(numbers).items():
            self.values.add(number)
            if number == self.void:
                self.log.notes[_VOID_NOTE] += 1
            elif number == _WHITE and self.void is None:
                self.white.append((draft, frame, path, mask))
            else:
                self._add(draft, number, frame, mask)

    def _add(self, draft: VideoDraft, number: int, frame: str, mask: Rle) -> None:
        category = _ONLY_CATEGORY
        if self.objects is not None:
            known = self.objects[draft.name]
            if number not in known:
                listed = ", ".join(map(str, sorted(known)))
                raise ValueError(f"object {number} is not in meta.json; there: {listed}")
            category = known[number]
        draft.add(number, category, frame, mask)

    def decide_on_white(self, drafts: list[VideoDraft]) -> None:
        """Make objects of what is 255 in these videos, or leave it out."""
        kept = set(drafts)
        for draft, frame, path, mask in self.white:
            if draft not in kept:
                continue
            if self.values == {_WHITE}:
                self.log.notes["frames whose only value, 255, is taken as the object"] += 1
                with draft.frame(frame, path):
                    self._add(draft, _WHITE, frame, mask)
            else:
                self.log.notes[_VOID_NOTE] += 1


def _read_meta(path: Path, log: ImportLog) -> dict[str, dict[int, str]]:
    """The categories that YouTube-VOS's meta.json gives to the objects of each video."""
    videos = sources.as_object(sources.read_object(path).get("videos"), f"{path}, 'videos'")
    names: dict[str, dict[int, str]] = {}
    for video, entry in videos.items():
        where = f"{path}, video {video!r}"
        entry = sources.as_object(entry, where)
        objects = sources.as_object(entry.get("objects"), f"{where}, 'objects'")
        names[video] = {}
        for number, value in objects.items():
            place = f"{where}, object {number!r}"
            if "category" not in sources.as_object(value, place):  # as where they are not public
                log.notes[f"objects without category, taken as {_ONLY_CATEGORY!r}"] += 1
            with naming(place):
                key = checks.whole_number({"its name": number}, "its name")
                names[video][key] = checks.name({"category": _ONLY_CATEGORY} | value, "category")
    return names
