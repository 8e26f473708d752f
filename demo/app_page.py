"""The page of ``app.py``: a video in, its tracks drawn and listed."""

from __future__ import annotations

import html
import shutil
import threading
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from simplevtr import inference
from simplevtr.terminal import one_line
from simplevtr.video_io import open_source
from simplevtr.visualization import TrackPainter, track_rgb

import av
import gradio as gr
from tabulate import tabulate

_HEAD = """# SimpleVTR
Every object of a video: what it is, where it goes, and its mask in every frame."""
_EMPTY = "<p class='hint'>Drop a video at the left and press <b>Find tracks</b>.</p>"
# Whatever gradio's parts would fetch from elsewhere is refused by the browser.
_POLICY = """<meta http-equiv="Content-Security-Policy"
    content="default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:">"""

_LISTED = 30  # tracks
_STYLE = """
.hint, .summary { margin: 0.3rem 0; }
.tracks { max-height: 19rem; overflow-y: auto; }
.tracks table, .tracks tr, .tracks th, .tracks td { border: 0 !important; }
.tracks table { width: 100%; border-collapse: collapse; }
.tracks tbody tr { border-top: 1px solid var(--border-color-primary) !important; }
.tracks th { color: var(--body-text-color-subdued); font-weight: normal; }
.tracks th, .tracks td { padding: 0.3rem 0.6rem; text-align: right; }
.tracks :is(th, td):nth-child(-n+2) { text-align: left; }
.tracks i { display: inline-block; width: 1em; height: 1em; margin-right: 0.3em;
    border: 1px solid #0006; border-radius: 3px; vertical-align: -0.1em; }
"""


@dataclass(frozen=True)
class SegmentedVideo:
    """What a session keeps of its video; masks are run-length encoded, so it is small."""

    path: str
    result: dict[str, Any]  # of ``VideoPredictor.predict``


@dataclass(eq=False)
class Page:
    """The page and what its controls do."""

    predictor: inference.VideoPredictor
    folder: Path  # has one for the results of each session
    lowest_score: float  # of the tracks that the model returns
    stop_requests: dict[str, threading.Event] = field(default_factory=dict)  # by session

    def serve(self, host: str, port: int | None, *, browser: bool) -> None:
        """Serve the page until the program is interrupted; OSError if the port is taken."""
        fonts = {"font": ("system-ui", "sans-serif"), "font_mono": ("ui-monospace", "monospace")}
        _, address, _ = self.blocks().launch(
            server_name=host, server_port=port, inbrowser=browser, share=False, quiet=True,
            prevent_thread_lock=True, ssr_mode=False, mcp_server=False, enable_monitoring=False,
            run_history=False, footer_links=[], css=_STYLE, head=_POLICY,
            theme=gr.themes.Default(primary_hue="blue", **fonts),
        )  # fmt: skip
        print(f"open {address} (Ctrl-C ends)", flush=True)
        threading.Event().wait()

    def blocks(self) -> gr.Blocks:
        """The page itself."""
        with gr.Blocks(
            title="SimpleVTR", analytics_enabled=False, delete_cache=(3600, 86400)
        ) as page:
            gr.Markdown(_HEAD)
            segmented = gr.State()
            with gr.Row(equal_height=False):
                with gr.Column(scale=2, min_width=320):
                    # Not gr.Video: it reports whatever the browser cannot play as not a video.
                    video = gr.File(label="Video", height=150, elem_id="input")
                    with gr.Row():
                        find = gr.Button("Find tracks", variant="primary", elem_id="find")
                        stop = gr.Button("Stop reading", visible=False, elem_id="stop")
                    look = self._controls()
                with gr.Column(scale=3, min_width=320):
                    drawn = gr.Video(
                        label="Tracks", height=480, interactive=False, autoplay=True, loop=True,
                        elem_id="result",
                    )  # fmt: skip
                    listed = gr.HTML(_EMPTY, elem_id="listed")
                    results = gr.DownloadButton(
                        "Download results.json", visible=False, elem_id="download"
                    )
            self._connect(video, find, stop, look, segmented, [drawn, listed, results])
            page.unload(self._stop)
        return page

    def _controls(self) -> list[gr.components.Component]:
        """What ``_draw`` takes, in that order."""
        lowest = max(self.lowest_score, 0.01)
        names = self.predictor.class_names
        with gr.Group():
            score = gr.Slider(
                lowest, 1, value=max(0.3, lowest), step=0.01, label="Score threshold",
                info="Tracks that the model is less sure of are left out.", elem_id="score",
            )  # fmt: skip
            classes = gr.Dropdown(
                list(names), multiselect=True, label="Classes", info="Nothing chosen: all",
                visible=bool(names), elem_id="classes",
            )  # fmt: skip
            trail = gr.Slider(
                0, 100, value=0, step=1, label="Trail", info="Past frames whose path is drawn",
                elem_id="trail",
            )  # fmt: skip
            with gr.Row():
                boxes = gr.Checkbox(label="Boxes", elem_id="boxes")
                side_by_side = gr.Checkbox(label="Beside the input", elem_id="side_by_side")
        return [score, classes, trail, boxes, side_by_side]

    def _connect(self, video, find, stop, look, segmented, shown) -> None:
        """Connect the controls; drawing and the model each have a queue and run one at a time."""
        private = {"api_visibility": "private"}
        at_once = private | {"queue": False}
        waiting = private | {"show_progress_on": shown[0], "concurrency_limit": 1}
        video.change(
            lambda: (None, None, _EMPTY, gr.DownloadButton(visible=False)),
            outputs=[segmented, *shown], **at_once,
        )  # fmt: skip
        found = find.click(
            lambda: (gr.Button(interactive=False), gr.Button(visible=True)),
            outputs=[find, stop], **at_once,
        ).then(
            self._find, [video], [segmented, shown[0]], concurrency_id="model", **waiting
        )  # fmt: skip
        draw = {"fn": self._draw, "inputs": [segmented, video, *look], "outputs": shown}
        draw |= waiting | {"concurrency_id": "drawing"}
        found.success(**draw)
        for after in (found.success, found.failure):  # gradio 6.31's then() is not for failures
            after(
                lambda: (gr.Button(interactive=True), gr.Button(visible=False)),
                outputs=[find, stop], **at_once,
            )  # fmt: skip
        stop.click(self._stop, **at_once)
        score, classes, trail, boxes, side_by_side = look
        changes = [score.release, trail.release, classes.input, boxes.input, side_by_side.input]
        gr.on(changes, trigger_mode="always_last", **draw)

    def _find(
        self, path: str | None, request: gr.Request, progress: gr.Progress = gr.Progress()  # noqa: B008
    ) -> tuple[SegmentedVideo, None]:  # fmt: skip
        """Run the model; the result that is shown gives way to the progress."""
        if path is None:
            raise _error("There is no video yet: drop one at the left.")
        stop = self.stop_requests[request.session_hash] = threading.Event()
        try:
            source = open_source(path)
            read = inference.until_set(stop, source)
            frames = _shown(read, source.length, progress, "Reading and segmenting")
            return SegmentedVideo(path, self.predictor.predict(frames)), None
        except (ValueError, OSError, av.FFmpegError) as error:
            raise _error(error, path) from error
        finally:
            self.stop_requests.pop(request.session_hash, None)

    def _stop(self, request: gr.Request) -> None:
        if stop := self.stop_requests.get(request.session_hash):
            stop.set()

    def _draw(
        self, segmented: SegmentedVideo | None, path: str | None,
        score: float, classes: list[str], trail: float, boxes: bool, side_by_side: bool,
        request: gr.Request, progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> tuple[Any, Any, Any]:  # fmt: skip
        """Draw what was found, without the model; nothing once another video was chosen."""
        if segmented is None or segmented.path != path:
            return gr.skip(), gr.skip(), gr.skip()
        result, count = segmented.result, segmented.result["num_frames"]
        painter = TrackPainter(
            self.predictor.class_names, min_score=score, classes=classes or None,
            draw_boxes=boxes, trail=int(trail), side_by_side=side_by_side,
        )  # fmt: skip
        stem = self._new_folder(request.session_hash) / Path(segmented.path).stem
        targets = inference.Targets(f"{stem}_tracks.mp4", results=f"{stem}_results.json")
        wanted = inference.wanted_in_result(result, painter)
        try:
            source = open_source(segmented.path)
            with inference.DrawnOutputs(targets, source, painter) as outputs:
                frames = _shown(islice(source, count), count, progress, "Drawing")
                outputs.draw(result, frames)
            self.predictor.write_results(targets.results, wanted)
        except (ValueError, OSError, av.FFmpegError) as error:
            raise _error(error, segmented.path) from error
        listed = _track_table(wanted, result, painter)
        return targets.video, listed, gr.DownloadButton(value=targets.results, visible=True)

    def _new_folder(self, session: str) -> Path:
        """An empty folder for a result, since browsers keep what they once loaded of a name.

        The one before the last is removed; the last may still be played.
        """
        folder = self.folder / "results" / session
        folder.mkdir(parents=True, exist_ok=True)
        last = max((int(old.name) for old in folder.iterdir()), default=0)
        shutil.rmtree(folder / str(last - 1), ignore_errors=True)
        new = folder / str(last + 1)
        new.mkdir()
        return new


def _shown(
    frames: inference.Frames, total: int | None, progress: gr.Progress, what: str
) -> inference.Frames:
    """Pass frames on and show how many, a few times a second."""
    due = 0.0
    for index, frame in enumerate(frames):
        if time.monotonic() >= due:
            progress((index, total), desc=what, unit="frames")
            due = time.monotonic() + 0.25
        yield frame


def _error(problem: Exception | str, path: str = "") -> gr.Error:
    """What the page shows until it is closed; the page takes it for HTML."""
    text = one_line(problem)
    if path:  # users did not choose the folder
        text = text.replace(path, Path(path).name)
    return gr.Error(html.escape(text), duration=None, print_exception=False)


def _track_table(wanted: dict[str, Any], result: dict[str, Any], painter: TrackPainter) -> str:
    """The ``wanted`` tracks of a result, as HTML."""
    columns = (wanted[f"pred_{name}"] for name in ("ids", "labels", "scores", "masks"))
    rows = list(zip(*columns, strict=True))
    every = len(result["pred_scores"])
    text = f"<p class='summary'>{result['num_frames']} frames, {len(rows)} of {every} tracks shown"
    if not rows:
        return f"{text}. A lower threshold shows more.</p>" if every else f"{text}.</p>"
    if len(rows) > _LISTED:
        text += f", the best {_LISTED} are listed"
    lines = []
    for track_id, label, score, masks in rows[:_LISTED]:
        track = f"<i style='background: rgb{track_rgb(track_id)}'></i> {track_id}"
        seen = sum(rle is not None for rle in masks.rles)
        lines.append([track, html.escape(painter.class_name(label)), f"{score:.0%}", seen])
    head = ["track", "class", "score", "frames"]
    table = tabulate(lines, head, tablefmt="unsafehtml", disable_numparse=True)
    return f"{text}.</p><div class='tracks'>{table}</div>"
