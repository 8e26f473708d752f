"""The folder of a report: its fixed pages, data as scripts, frames, and replacing an older one.

Pages opened from disk may not fetch data, but they may run scripts that lie next to them. So data
is written as JavaScript that passes a literal to a function.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from simplevtr.evaluation.ytvis_eval import without_nan
from simplevtr.formats.files import named_errors, refuse_existing, write_bytes
from simplevtr.formats.images import read_reduced_frame
from simplevtr.formats.results import PredictedTrack
from simplevtr.formats.ytvis import GroundTruth, Video
from simplevtr.toolbox.report.content import Content, ReportSettings

from PIL import Image
from tqdm import tqdm

PAGE = Path(__file__).parent / "page"
_INDEX = "index.html"
_DIGITS = 4  # decimals of numbers, so that the page loads fast
_FOLDERS = ("frames", "videos", PAGE.name)
_FILES = rf"frames/-?\d+/\d+\.jpg|videos/-?\d+\.js|{PAGE.name}/\w+\.(js|css)"
_MARK = '<meta name="generator" content="simplevtr report">'


def write_report(
    output: str | os.PathLike,
    gt: GroundTruth,
    results: list[PredictedTrack],
    images: str | os.PathLike,
    settings: ReportSettings,
    *,
    sources: dict[str, str] | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a report as a folder; its ``index.html``, whose path is returned, opens from disk.

    Args:
        output: the folder; it must not exist, be empty, or be a report that may be overwritten.
        gt: of ``load_ground_truth``; without annotations predictions are shown alone.
        results: of ``load_results``.
        images: the folder that the file names of ``gt`` start at.
        settings: what is shown.
        sources: names and values shown under the heading, such as where the data is from.
        overwrite: whether a report in ``output`` may be replaced.

    Raises:
        FileExistsError: ``output`` exists and may not be replaced.
        FileNotFoundError: a frame that is shown does not exist.
        ValueError: a frame that is shown cannot be used.
    """
    output = check_folder(output, overwrite=overwrite)
    content = Content(gt, results, settings)
    data = content.overview()
    data["sources"] = [{"name": name, "value": value} for name, value in (sources or {}).items()]
    needed = {(event["video"], t) for event in data.get("switches", ()) for t in event["frames"]}
    with _new_report(output, overwrite=overwrite) as folder:
        _write_data(folder / "data.js", "Report.receive", data)
        for video_id in [*data["worst"], *data["best"]]:
            player = content.player(video_id)
            _write_data(folder / "videos" / f"{video_id}.js", "Report.receiveVideo", player)
            needed |= {(video_id, t) for t in player["frames"]}
        for video_id, t in tqdm(sorted(needed), desc="frames", unit="frame", disable=None):
            target, video = folder / f"frames/{video_id}/{t}.jpg", content.shown[video_id].video
            _write_frame(target, images, video, t, settings.frame_width)
    return output / _INDEX


def check_folder(path: str | os.PathLike, *, overwrite: bool) -> Path:
    """The path, if a report may be written there: nothing, an empty folder, or an older report.

    FileExistsError: it is something else, a report and ``overwrite`` is False, or one with files of
    others in the folders that are replaced.
    """
    path = Path(path)
    left = path.iterdir() if path.is_dir() else (path,)  # by runs that were killed, too
    is_new = not path.exists() or all(entry.match(".report.*.partial") for entry in left)
    refuse_existing(path, overwrite=overwrite or is_new, folder=True)
    if is_new:
        return path
    index = path / _INDEX
    if not index.is_file() or _MARK not in index.read_text(encoding="utf-8", errors="replace"):
        raise FileExistsError(f"{path} exists and is not a report, so it is not overwritten")
    for file in (file for name in _FOLDERS for file in (path / name).rglob("*")):
        if not file.is_dir() and not re.fullmatch(_FILES, file.relative_to(path).as_posix()):
            raise FileExistsError(f"{file} is not of the report, which would delete it; move it")
    return path


@contextmanager
def _new_report(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder with the fixed pages to write the rest into, which becomes ``path`` at the end.

    If anything is raised, what was there stays as it was. Of an older report only what a report
    consists of is replaced.
    """
    path = Path(os.path.realpath(path))  # "." has no name
    # Inside a folder that exists: another disk may begin there, to which nothing can be renamed.
    into = path if path.is_dir() else path.parent
    into.mkdir(parents=True, exist_ok=True)
    # A name of its own: in a container each run has the process number of the one killed before.
    unique = TemporaryDirectory(".partial", ".report.", into, ignore_cleanup_errors=True)
    with unique as name, named_errors(path):
        partial = Path(name)
        for page in PAGE.iterdir():
            place = partial / ("" if page.name == _INDEX else PAGE.name) / page.name
            write_bytes(place, page.read_bytes())
        yield partial
        check_folder(path, overwrite=overwrite)  # scoring takes minutes
        path.mkdir(exist_ok=True)
        entries, replaced = [*partial.iterdir()], partial / "replaced"
        replaced.mkdir()
        for entry in entries:  # renamed, not deleted: that takes time, in which to be stopped
            if os.path.lexists(old := path / entry.name):
                os.replace(old, replaced / entry.name)
            os.replace(entry, old)


def _write_data(path: Path, function: str, data: dict) -> None:
    """Write a script that calls ``function`` with ``data``.

    The keys of ``data`` must be the report's own: a key such as ``__proto__`` means something else
    in a literal. Values may be anything. The result is ASCII without "<", so it ends neither a
    line nor a script wherever it is put.
    """
    literal = json.dumps(without_nan(data, _DIGITS), allow_nan=False, separators=(",", ":"))
    script = f"{function}({literal.replace('<', chr(92) + 'u003c')});\n"
    write_bytes(path, script.encode("ascii"))


def _write_frame(
    target: Path, images: str | os.PathLike, video: Video, number: int, most_width: int
) -> None:
    """Write a frame as a JPEG of at most ``most_width`` pixels' width; it is never enlarged."""
    reduction = next((r for r in (8, 4, 2) if video.width // r >= most_width), 1)
    source, size = video.frame_path(images, number), (video.height, video.width)
    pixels, _ = read_reduced_frame(source, size, reduction=reduction)
    picture = Image.fromarray(pixels)
    picture.thumbnail((most_width, video.height))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, "JPEG", quality=80)
