"""The page of ``demo/app.py``, used in Chromium."""

import importlib.util
import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
from chromium import chromium, wait
from demo_model import DEMO, command_line, load_app
from footage import record

# Notes each frame that the model reads, slowly enough to be stopped.
SERVER = """
import sys, time
sys.path[:0] = sys.argv[1:3]
from demo_model import BrightestHalf, load_app
def on_frame(index):
    time.sleep(0.05)
    with open(sys.argv[3], "a") as file:
        file.write(f"{index}\\n")
BrightestHalf.on_frame = staticmethod(on_frame)
BrightestHalf.labels = [0, 2, 1]  # all have a name
sys.exit(load_app().main(sys.argv[4:]))
"""

pytestmark = pytest.mark.browser


def test_tracks_of_a_video_that_was_replaced_are_not_drawn(monkeypatch):
    gr = pytest.importorskip("gradio", reason="needs gradio (pip install -e '.[app]')")
    monkeypatch.syspath_prepend(DEMO)
    from app_page import Page, SegmentedVideo

    page, found = Page(None, None, 0.0), SegmentedVideo("old.mp4", None)
    assert page._draw(found, "new.mp4", 0.3, [], 0, False, False, None) == (gr.skip(),) * 3


@pytest.mark.parametrize("port", ["0", "65536"])
def test_a_port_that_no_machine_has_is_refused(capsys, port):
    with pytest.raises(SystemExit, match="2"):
        load_app().main(["--port", port])
    assert f"--port: {port} was given; it must be at least 1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("needs gradio (pip install -e '.[app]')")
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def app(browser, tmp_path_factory):
    """The page's address and the file that notes the frames that the model read."""
    folder = tmp_path_factory.mktemp("app")
    (folder / "tmp").mkdir()
    arguments = command_line(folder)("unused", None, opts=("DATASETS.TEST", "('ytvis_2019_val',)"))
    arguments[2:4] = ["--no-browser"]  # instead of --input
    notes = folder / "frames.txt"
    notes.touch()
    here = os.path.dirname(__file__)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, here, str(DEMO), str(notes), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"},
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("open http://127.0.0.1:"), line
        yield line.split()[1], notes
    finally:
        process.terminate()
        process.wait(20)
    assert process.returncode == 0
    assert list((folder / "tmp").iterdir()) == []


@pytest.fixture
def page(browser, app):
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(app[0])
    wait(browser, "return document.querySelector('#input input[type=file]')")
    return browser


def until(true, seconds=20):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def upload(page, path):
    page.find_element("css selector", "#input input[type=file]").send_keys(str(path))
    script = "return document.getElementById('input').innerText.includes(arguments[0])"
    wait(page, script, path.suffix)


def find_tracks(page):
    page.find_element("id", "find").click()


def played(page, before=""):
    """Duration, width and source of the result, once it is another than ``before`` and plays."""
    return wait(
        page,
        """const video = document.querySelector("#result video");
        return video && video.readyState > 0 && video.duration > 0
            && video.currentSrc !== arguments[0]
            && [video.duration, video.videoWidth, video.currentSrc]""",
        before,
    )


def listed(page, text):
    """The rows of the table, once the line above it begins with ``text``."""
    wait(page, "return document.getElementById('listed').innerText.startsWith(arguments[0])", text)
    return [row.text for row in page.find_elements("css selector", "#listed tr")][1:]


def errors(page):
    return [entry for entry in page.get_log("browser") if entry["level"] == "SEVERE"]


def toast(page):
    script = "return document.querySelector('[data-testid=toast-body]')?.innerText"
    return wait(page, script)


@pytest.fixture
def video(tmp_path):
    frames = np.full((20, 240, 320, 3), 90, dtype=np.uint8)
    return record(tmp_path / "street.mp4", frames, fps=10)


def test_from_a_video_to_its_tracks(page, app, video, tmp_path):
    address, notes = app
    upload(page, video)
    find_tracks(page)
    duration, width, first = played(page)
    assert (duration, width) == (2, 320)
    assert listed(page, "20 frames, 2 of 3 tracks") == ["1 person 90% 20", "2 lizard 50% 20"]
    read = notes.read_text()

    # Above, below and back: drawn anew without the model.
    number = page.find_element("css selector", "#score input[type=number]")
    number.clear()
    number.send_keys("0.7\t")
    assert listed(page, "20 frames, 1 of 3 tracks") == ["1 person 90% 20"]
    _, _, second = played(page, first)
    number.clear()
    number.send_keys("0.95\t")
    assert listed(page, "20 frames, 0 of 3 tracks shown. A lower threshold") == []
    number.clear()
    number.send_keys("0.05\t")
    assert len(listed(page, "20 frames, 3 of 3 tracks")) == 3
    page.find_element("css selector", "#side_by_side input").click()
    wait(page, "return document.querySelector('#result video')?.videoWidth === 640")
    assert notes.read_text() == read

    downloads = {"behavior": "allow", "downloadPath": str(tmp_path / "downloads")}
    page.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
    page.find_element("id", "download").click()
    file = tmp_path / "downloads" / "street_results.json"
    until(file.exists)
    entries = json.loads(file.read_text())
    assert [entry["score"] for entry in entries] == [0.9, 0.5, 0.1]
    assert [entry["category_name"] for entry in entries] == ["person", "lizard", "giant_panda"]
    assert errors(page) == []
    events = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    addresses = [event["params"]["request"]["url"] for event in sent]
    assert address in addresses
    own = (address, "data:", "blob:", "about:", "chrome:", "chrome-untrusted:")
    assert [a for a in addresses if not a.startswith(own)] == []


def test_only_the_wanted_classes(page, video):
    upload(page, video)
    box = page.find_element("css selector", "#classes input")
    box.click()
    box.send_keys("person\n\t")
    find_tracks(page)
    assert listed(page, "20 frames, 1 of 3 tracks") == ["1 person 90% 20"]


def test_reading_can_be_stopped(page, tmp_path):
    frames = np.full((200, 48, 64, 3), 90, dtype=np.uint8)
    upload(page, record(tmp_path / "long.mp4", frames, fps=10))
    find_tracks(page)
    wait(page, "return document.querySelector('#result')?.innerText.includes('/200')")
    page.find_element("id", "stop").click()
    duration, _, _ = played(page)
    assert 0 < duration < 15
    assert listed(page, f"{round(duration * 10)} frames, 2 of 3 tracks")
    wait(page, "return !document.getElementById('find').disabled")


def test_another_video_empties_the_result(page, tmp_path, video):
    upload(page, video)
    find_tracks(page)
    played(page)
    page.find_element("css selector", "#input button[aria-label=Clear]").click()
    wait(page, "return !document.querySelector('#result video')")
    listed(page, "Drop a video")


def test_errors_are_said_on_the_page(page, tmp_path):
    find_tracks(page)
    assert "There is no video yet" in toast(page)
    page.find_element("css selector", "[data-testid=toast-close]").click()
    wait(page, "return !document.querySelector('[data-testid=toast-body]')")
    wait(page, "return !document.getElementById('find').disabled")
    broken = tmp_path / "broken.mp4"
    broken.write_text("no video")
    upload(page, broken)
    find_tracks(page)
    said = toast(page)
    assert "broken.mp4: not a video" in said
    assert "/broken.mp4" not in said  # the folder of the server
    wait(page, "return !document.getElementById('find').disabled")
