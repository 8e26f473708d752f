"""Find the tracks of a video on a page in the browser.

    pip install -e '.[app]'
    python demo/app.py --config-file CFG --opts MODEL.WEIGHTS model_final.pth MODEL.DEVICE cpu

The page is served to this machine alone and loads nothing from the network. Videos, and what is
made of them, lie in a temporary folder that is removed when the program ends (Ctrl-C).
"""

import argparse
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from simplevtr.inference import VideoPredictor
from simplevtr.run_config import model_cfg
from simplevtr.terminal import add_model, command, number

LOWEST_SCORE = 0.05  # of the tracks that the page can show without running the model again
_LOCAL = ("127.0.0.1", "localhost", "::1")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add_model(parser, opts=True)
    add("--host", default="127.0.0.1", help="address to serve at (default: this machine alone)")
    port = {"type": number(int, least=1, most=65535), "metavar": "N"}
    add("--port", **port, help="port to serve at (default: the first free one from 7860 on)")
    add("--no-browser", action="store_true", help="do not open the page")


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Load the model and serve the page.

    Raises:
        ValueError: gradio is missing, or see ``VideoPredictor``.
        OSError: the port is taken.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the folder is removed
    with suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="simplevtr-") as folder:
        _keep_to_this_machine(folder)
        try:
            import gradio  # noqa: F401 - only after the settings above
        except ModuleNotFoundError as error:
            if error.name != "gradio":
                raise
            raise ValueError("gradio is not installed; pip install -e '.[app]'") from None
        from app_page import Page

        words = (options.config_file, options.weights, options.opts)
        cfg = model_cfg(*words, least_score=LOWEST_SCORE)
        predictor = VideoPredictor(cfg)
        if options.host not in _LOCAL:
            warning = f"app.py: everybody who reaches {options.host} can use this page"
            print(warning, file=sys.stderr)
        page = Page(predictor, Path(folder), lowest_score=cfg.TEST.SCORE_THRESHOLD)
        # A text browser would take the terminal.
        display = sys.platform != "linux" or {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys()
        page.serve(options.host, options.port, browser=bool(display) and not options.no_browser)


def _keep_to_this_machine(folder: str) -> None:
    """Settings that gradio reads as it is imported."""
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_OFFLINE="1",
        GRADIO_TEMP_DIR=folder,
    )
    # It asks its own server whether it runs; a proxy would not reach it.
    hosts = [host for host in (os.environ.get("no_proxy", ""), *_LOCAL) if host]
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(hosts)


if __name__ == "__main__":
    sys.exit(main())
