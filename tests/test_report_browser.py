"""Reports opened from disk in Chromium."""

import io
import json
import time

from simplevtr.commands import report

import numpy as np
import pytest
from chromium import chromium, wait
from PIL import Image
from pycocotools import mask as coco_mask
from report_samples import GREY, HOSTILE, make_report_folder
from track_samples import rle

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """Addresses of a report with ground truth and of one without."""
    root = tmp_path_factory.mktemp("reports")
    arguments = make_report_folder(root / "data")
    assert report.main([*arguments, "--output", str(root / "scored"), "--title", HOSTILE]) == 0
    assert report.main(["--video-list", *arguments[1:], "--output", str(root / "plain")]) == 0
    return {name: (root / name / "index.html").as_uri() for name in ("scored", "plain")}


@pytest.fixture
def page(browser, reports):
    resize(browser, 1280)
    visit(browser, reports["scored"])
    return browser


def visit(browser, address):
    """Open a report; another page in between, so that what is waited for is not the last one's."""
    browser.get("about:blank")
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(address)
    wait(browser, "return document.body && document.body.classList.contains('ready')")


def resize(browser, width):
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def player(browser, video):
    """The card of a video, as soon as its first frame is drawn."""
    browser.execute_script(
        "document.getElementById(arguments[0]).scrollIntoView()", f"video-{video}"
    )
    card = browser.find_element("id", f"video-{video}")
    wait(browser, f"const card = arguments[0]; return card.querySelector('.player') && {SUM} > 0",
         card)  # fmt: skip
    return card


# The sum of the opacities over the last stage of a card.
SUM = """((canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
    .data.filter((_, i) => i % 4 === 3).reduce((sum, value) => sum + value, 0)
)([...card.querySelectorAll(".overlay")].at(-1))"""


def opacity(browser, card):
    return browser.execute_script(f"const card = arguments[0]; return {SUM}", card)


def column(browser, section, index):
    script = "return [...document.querySelectorAll(arguments[0])].map((cell) => cell.innerText)"
    return browser.execute_script(script, f"#{section} tbody td:nth-child({index + 1})")


def errors(browser):
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def requested(browser):
    """The addresses that pages asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    return [event["params"]["request"]["url"] for event in sent]


def test_opens_from_disk_without_errors(page):
    for video in (2, 1):
        player(page, video)
    page.execute_script("document.getElementById('switches').scrollIntoView()")
    wait(page, "return document.querySelectorAll('#switches canvas.overlay').length === 4")
    assert errors(page) == []
    titles = [element.text for element in page.find_elements("css selector", "h2")]
    assert titles[1:] == [
        "Scores", "Precision and recall", "Videos", "Worst videos", "Best videos",
        "Confusion of categories", "Identity switches",
    ]  # fmt: skip
    addresses = requested(page)
    assert any(address.endswith("/frames/2/0.jpg") for address in addresses)
    assert [a for a in addresses if not a.startswith(("file:", "data:"))] == []


def test_names_are_text(page):
    player(page, 2)
    assert page.title == HOSTILE
    assert page.find_element("tag name", "h1").text == HOSTILE
    assert column(page, "scores", 0) == ["cat", HOSTILE, "__proto__"]
    assert "<b>wrong" in column(page, "videos", 0)
    assert page.execute_script("return window.hacked === undefined")
    assert errors(page) == []


def test_frames_are_drawn_under_the_masks(page):
    card = player(page, 1)
    picture = card.find_element("css selector", ".stage")
    with_masks = np.asarray(Image.open(io.BytesIO(picture.screenshot_as_png)).convert("RGB"))
    page.execute_script("arguments[0].querySelector('.overlay').style.opacity = 0", card)
    bare = np.asarray(Image.open(io.BytesIO(picture.screenshot_as_png)).convert("RGB"))
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(bare[inner].astype(int) - GREY).max() < 8
    assert np.abs(with_masks[inner].astype(int) - GREY).max() > 50


def test_a_track_is_hidden_and_shown(page):
    card = player(page, 1)
    first, second = card.find_elements("css selector", "[data-kind=predicted] .track input")
    whole = opacity(page, card)
    first.click()
    less = opacity(page, card)
    second.click()
    assert 0 < less < whole
    assert opacity(page, card) == 0
    card.find_element("css selector", "[data-kind=predicted] .all input").click()
    card.find_element("css selector", "[data-kind=predicted] .all input").click()
    assert opacity(page, card) == whole
    assert first.is_selected()


def test_playing_stepping_and_scrubbing(page):
    card = player(page, 2)
    buttons = {b.get_attribute("title"): b for b in card.find_elements("tag name", "button")}
    place = card.find_element("tag name", "output")
    assert place.text == "frame 0 of 4"
    buttons["Next frame"].click()
    assert place.text == "frame 1 of 4"
    buttons["Previous frame"].click()
    buttons["Previous frame"].click()
    assert place.text == "frame 4 of 4"
    buttons["Play"].click()
    assert buttons["Play"].get_attribute("aria-label") == "Pause"
    wait(page, "return arguments[0].textContent === 'frame 2 of 4'", place)
    buttons["Play"].click()
    halted = place.text
    time.sleep(0.6)  # three frames at the rate that is preset
    assert place.text == halted
    seen = []
    for frame in (2, 4):  # another predicted track is there
        script = """const range = arguments[0].querySelector("[type=range]");
            range.value = arguments[1]; range.dispatchEvent(new Event("input"))"""
        page.execute_script(script, card, frame)
        assert place.text == f"frame {frame} of 4"
        time.sleep(0.2)  # the picture may still be on its way
        seen.append(card.find_elements("css selector", ".stage")[-1].screenshot_as_png)
    assert seen[0] != seen[1]


def test_the_table_of_videos_is_sorted(page):
    assert column(page, "videos", 0) == ["<b>wrong", "right", "empty"]  # by AP, none last
    heads = page.find_elements("css selector", "#videos th")
    heads[2].find_element("tag name", "button").click()
    assert column(page, "videos", 0) == ["right", "<b>wrong", "empty"]
    assert heads[2].get_attribute("aria-sort") == "descending"
    heads[0].find_element("tag name", "button").click()
    assert column(page, "videos", 0) == ["<b>wrong", "empty", "right"]
    assert [head.get_attribute("aria-sort") for head in heads[:3]] == ["ascending", "none", "none"]
    page.find_element("css selector", "#videos input").send_keys("RIGHT")
    assert column(page, "videos", 0) == ["right"]


def test_a_curve_is_hidden(page):
    chip = page.find_elements("css selector", "#curves .chip")[-1]
    count = "return [...document.querySelectorAll('.curve')].filter(c => c.style.display === '')"
    before = len(page.execute_script(count))
    page.execute_script("arguments[0].click()", chip)
    assert len(page.execute_script(count)) == before - 1
    assert chip.get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("width", [1280, 420])
def test_nothing_is_wider_than_the_window(page, width):
    resize(page, width)
    for video in (2, 1):
        player(page, video)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_masks_are_decoded_as_pycocotools_does(page):
    rng = np.random.default_rng(0)
    masks = [rng.random((h, w)) < p for h, w, p in [(7, 5, 0.5), (90, 120, 0.02), (300, 400, 0.9)]]
    blob = np.zeros((720, 1280), bool)
    blob[100:600, 200:1200] = True  # runs of several characters, and differences below zero
    blob[300:310, 250:700] = False
    masks += [blob, np.ones((4, 4), bool), np.zeros((3, 3), bool)]
    script = """return [...Report.pixels(...arguments)].reduce(
        (found, value, i) => { if (value) found.push(i); return found }, [])"""
    for mask in masks:
        code = rle(mask)
        found = page.execute_script(script, code["counts"], *mask.shape)
        assert found == np.flatnonzero(coco_mask.decode(code).ravel(order="F")).tolist()


def test_a_report_without_ground_truth(browser, reports):
    visit(browser, reports["plain"])
    card = player(browser, 1)
    assert len(card.find_elements("css selector", ".stage")) == 1
    assert card.find_elements("css selector", ".tag") == []
    assert browser.find_elements("id", "scores") == []
    assert column(browser, "videos", 0) == ["empty", "<b>wrong", "right"]
    assert errors(browser) == []


def test_a_missing_video_is_said(browser, tmp_path):
    arguments = make_report_folder(tmp_path / "data")
    assert report.main([*arguments, "--output", str(tmp_path / "report")]) == 0
    (tmp_path / "report/videos/2.js").unlink()
    visit(browser, (tmp_path / "report/index.html").as_uri())
    browser.execute_script("document.getElementById('video-2').scrollIntoView()")
    holder = browser.find_element("css selector", "#video-2 .holder")
    assert wait(browser, "return arguments[0].textContent", holder) == "videos/2.js is missing"
