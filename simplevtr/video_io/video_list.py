"""The videos that files, folders and patterns stand for, each with a name of its own."""

import glob
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from simplevtr.formats.files import RECORD_NAME, RESULTS_NAME
from simplevtr.formats.images import is_image, picture_count
from simplevtr.formats.paths import existing, natural_key
from simplevtr.video_io.reader import redacted
from simplevtr.video_io.remote import RemoteFile, find_remote

# What is a video in a folder that is searched; a file that is named may end in anything.
VIDEO_SUFFIXES = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".gif", ".mpg", ".mpeg", ".ts", ".mts",
    ".m2ts", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".3gp", ".3g2", ".vob", ".mxf", ".dv", ".y4m",
)  # fmt: skip


@dataclass(frozen=True)
class NamedVideo:
    """A video file or a folder of frames."""

    name: str  # unique: the path, with slashes, from the folder that all inputs share
    path: Path  # absolute; of a remote file as if its file system were this one
    remote: RemoteFile | None = None  # what is copied to be read


def find_videos(inputs: Sequence[str], *, outside: Path | None = None) -> list[NamedVideo]:
    """The videos of ``inputs``, in natural order of their names, each once.

    An input is a video file, a folder of frames, a folder with videos or folders of frames below
    it, or a glob pattern of these; or an address that fsspec knows, of a video file, of a pattern,
    or of a folder with video files below it. Hidden files of folders, all below ``outside``, and
    what earlier runs wrote of videos are left out, unless it is named itself. Names depend on the
    inputs alone, not on which files a pattern or a folder has today.

    Raises:
        FileNotFoundError: nothing has that path, or matches that pattern.
        ValueError: a folder has no videos, or both videos and images; an image that is named has a
            single picture; two videos would have one name; or see ``find_remote``.
    """
    found: list[str] = []
    bases: list[str] = []
    remote: dict[str, RemoteFile] = {}
    for item in inputs:
        path = os.path.abspath(existing(os.path.expanduser(item)))
        if os.path.exists(path):
            bases.append(os.path.dirname(path))
            found += _videos_at(path, outside)
        elif "://" in item:
            base, files = find_remote(item, VIDEO_SUFFIXES)
            bases.append(str(base))
            for file in files:
                place = str(file.place)
                if remote.setdefault(place, file).path != file.path:
                    what = "another address has this name up to the '?'; give each its own --output"
                    raise ValueError(f"{redacted(item)}: {what}")
                found.append(place)
        elif glob.has_magic(item):
            fixed = itertools.takewhile(lambda part: not glob.has_magic(part), Path(path).parts)
            bases.append(os.path.join(*fixed))
            if not (matches := _matches(path, outside)):
                raise FileNotFoundError(f"{item}: no file matches this pattern")
            for match in matches:
                found += _videos_at(match, outside)
        else:
            raise FileNotFoundError(f"{item}: no such file or folder")
    root = os.path.commonpath(bases)
    names = {path: Path(os.path.relpath(path, root)).as_posix() for path in found}
    videos = [NamedVideo(name, Path(path), remote.get(path)) for path, name in names.items()]
    return sorted(videos, key=lambda video: natural_key(video.name))


def _matches(pattern: str, outside: Path | None) -> list[str]:
    """What a pattern matches, without what lies in a folder that matches too ("videos/**").

    Of a folder that links lead to in several ways the shortest path.
    """
    found: dict[tuple[str, str], Path] = {}
    for match in sorted(glob.glob(pattern, recursive=True), key=lambda match: (len(match), match)):
        folder, name = os.path.split(match)
        if _apart(match, outside):
            found.setdefault((os.path.realpath(folder), name), Path(match))
    folders = {path for path in found.values() if path.is_dir()}
    return [str(path) for path in found.values() if folders.isdisjoint(path.parents)]


def _apart(path: str, outside: Path | None) -> bool:
    place = Path(path)
    if outside is not None and place.is_relative_to(os.path.abspath(outside)):
        return False
    # A folder of results, the drawn video in it, or a MOTS picture one deeper.
    around = (place, *place.parents[:2])
    return not any((p / RECORD_NAME).exists() and (p / RESULTS_NAME).exists() for p in around)


def _videos_at(path: str, outside: Path | None) -> list[str]:
    if os.path.isdir(path):
        if videos := list(_search(path, outside)):
            return videos
        raise ValueError(f"{path}: no videos and no frames in this folder")
    if is_image(path) and picture_count(path) == 1:
        raise ValueError(f"{path} is a single picture; name the folder of the frames")
    return [path]


def _search(folder: str, outside: Path | None) -> Iterator[str]:
    """The videos and the folders of frames in and below a folder; links are followed."""
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        below = (name for name in folders if name[0] != ".")
        folders[:] = [name for name in below if _apart(os.path.join(place, name), outside)]
        files = [name for name in files if name[0] != "."]
        videos = [name for name in files if name.lower().endswith(VIDEO_SUFFIXES)]
        images = [name for name in files if is_image(name)]
        if videos and images:
            raise ValueError(
                f"{place}: has both videos ({videos[0]}) and images ({images[0]}); name what is "
                f"meant by a pattern, such as '{place}/*{Path(videos[0]).suffix}'"
            )
        yield from [place] if images else (os.path.join(place, name) for name in videos)


def _refuse(error: OSError) -> None:
    raise error
