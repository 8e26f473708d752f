"""SA-V: a JSON file per video with the run lengths of its masklets in every fourth frame.

The source is ``sav_000001_manual.json`` or a folder of such files, which may be in folders of it,
as ``sav_000`` in the archives. In ``masklet`` there is a list for each annotated frame, with an RLE
for each object of ``masklet_id``. Objects are of the category "object".

The frames come from ``sav_000001.mp4`` next to the file, and are written; or they are in
``<video>/00000.jpg``, named by their number in the video.
"""

from functools import partial
from pathlib import Path
from typing import Any, Literal

from simplevtr import video_io
from simplevtr.formats import checks
from simplevtr.formats.paths import below
from simplevtr.toolbox.importing import reading, shapes, sources

_STEP = 4  # frames from one that is annotated to the next
_OBJECT = "object"  # the only category


def read(
    dataset: reading.ImportedDataset,
    source: Path,
    images: Path | None,
    *,
    masklets: Literal["manual", "auto"] = "manual",
    write_frames: Path | None = None,
) -> None:
    """Read all videos; the options are those of the command."""
    root = write_frames or images
    if root is None or (write_frames and images):
        needed = "a new folder for frames (--write-frames), or that of existing ones (--images)"
        raise ValueError(f"{source}: SA-V needs {needed}")
    files = [source]
    if source.is_dir():
        folders = (source, *sources.sub_folders(source))
        files = [path for folder in folders for path in sources.files_of(folder, ".json")]
        files = [path for path in files if path.name.endswith(f"_{masklets}.json")]
    if not files:
        raise ValueError(f"{source}: holds no file ..._{masklets}.json (--masklets)")
    dataset.image_root = root if write_frames else sources.require_folder(root, "the frames")
    video = partial(_video, dataset=dataset, owners={}, write=write_frames is not None)
    if write_frames and not dataset.skip_broken:  # what is wrong is told before hours of decoding
        dataset.each_video(files, partial(video, only_check=True))
    dataset.videos = dataset.each_video(files, video)
    dataset.categories = [(1, _OBJECT)]


def _video(
    path: Path, dataset: reading.ImportedDataset, owners: dict[Path, Path], *, write: bool,
    only_check: bool = False,
) -> reading.ImportedVideo | None:  # fmt: skip
    """A video; ``owners`` are the files of those before, by the folder of their frames.

    With ``only_check`` the file's head is read and its video opened, and nothing is returned.
    """
    content = sources.read_object(path)
    with reading.naming(path):
        name = checks.text(content, "video_id")
        folder, film = below(dataset.image_root, name), path.with_name(f"{name}.mp4")
        if (owner := owners.setdefault(folder, path)) != path:
            raise ValueError(f"video_id is {name!r}, as in {owner}; both have the same frames")
        stated = _count(content, "video_height"), _count(content, "video_width")
        rows, count = checks.items(content, "masklet"), _count(content, "video_frame_count")
        annotated = -(-count // _STEP)
        if not 0 < len(rows) <= annotated:
            raise ValueError(
                f"masklet has {len(rows)} frames; a video of video_frame_count "
                f"{content['video_frame_count']} has {annotated}, every fourth one"
            )
        ids = [sources.identity(i, "masklet_id") for i in checks.items(content, "masklet_id")]
        if len({*ids}) < len(ids):
            raise ValueError(f"masklet_id has a number twice: {checks.shown(ids)}")
    source = video_io.open_source(film) if write else None
    most = count + _STEP - 1  # there may be more frames from the last annotated one to the end
    if source and (source.length or 0) > most:
        raise ValueError(f"{film}: has {source.length} frames; at most {most} are expected")
    if only_check:
        return None
    dataset.notes["annotated frames that a masklet lacks at its end"] += annotated - len(rows)
    numbers = range(0, _STEP * len(rows), _STEP)
    if source:
        frames = _write_video(source, folder, numbers)
    else:
        found = sources.numbered_frames(folder)
        if missing := [number for number in numbers if number not in found]:
            raise ValueError(f"{folder}: has no frame {missing[0]}, which {path} annotates")
        frames = {number: found[number] for number in numbers}
    draft = reading.VideoDraft(dataset, name, frames, stated=dict.fromkeys(frames, stated))
    with reading.naming(path):
        draft.check_stated(0)
    for index, (number, row) in enumerate(zip(numbers, rows, strict=True)):
        with draft.frame(number, f"{path}, masklet[{index}]"):
            if not isinstance(row, list) or len(row) != len(ids):
                raise ValueError(f"is {checks.shown(row)}; a list of {len(ids)} masks is needed")
            for identity, mask in zip(ids, row, strict=True):
                if mask is not None:
                    with reading.naming(f"object {checks.shown(identity)}"):
                        draft.add(identity, _OBJECT, number, shapes.from_rle(mask, draft.size))
    return draft.finished()


def _count(entry: dict[str, Any], key: str) -> int:
    """``checks.integer``, also where it is written as 848.0, as SA-V does."""
    value = entry.get(key)
    if isinstance(value, float) and value.is_integer():
        entry = {key: int(value)}
    return checks.integer(entry, key)


def _write_video(source: video_io.FrameSource, folder: Path, numbers: range) -> dict[int, Path]:
    """Write the frames of these numbers, ascending, of a video as 00000.jpg, ..., by number.

    ValueError: it ends before the last of them, or is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)  # its name may have a dot
    files = {number: folder / f"{number:05d}.jpg" for number in numbers}
    names = [file.name for file in files.values()]
    with video_io.open_sink(folder, 1, source.size, names=names, overwrite=True) as sink:
        for read, frame in enumerate(source, start=1):
            if read - 1 in files:
                sink.write(frame)
        if sink.count < len(files):
            missing = numbers[sink.count]
            raise ValueError(f"{source.path}: has {read} frames, but frame {missing} is annotated")
        if source.damage:  # what is lost moves all later frames; known once all is read
            raise ValueError(f"{source.path}: is {source.damage}")
    return files
