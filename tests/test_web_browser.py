"""The page in a real browser: a picture dropped, the sliders moved, the file compared with the command line's.

Needs Chromium and its driver (Debian: chromium, chromium-driver). With NLRN_SCREENSHOTS=FOLDER in the environment
the pictures of the page are left there to be looked at.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running_page import running_page

from nlrn import images, load
from nlrn.cli import main
from nlrn.explanation.attention import explain
from nlrn.explanation.heatmaps import draw
from nlrn.images import Metadata, Picture

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("gradio") is None, reason="the page needs gradio: install nlrn[web]"),
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="needs chromium and chromium-driver"),
]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,943",  # leaves 1280 x 800 for the page
)


class Browser:
    """Chromium on the page, with what the tests do there."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def find(self, css: str) -> Any:
        return self.until(lambda: next(iter(self.driver.find_elements("css selector", css)), None))

    def until(self, holds: Callable[[], Any], seconds: float = 240) -> Any:
        """What becomes true, waited for."""
        last = time.monotonic() + seconds
        while time.monotonic() < last:
            if found := holds():
                return found
            time.sleep(0.1)
        raise AssertionError("it did not come about in time")

    def open(self, address: str, picture: Path) -> None:
        self.driver.get(address)
        self.find("#file input[type=file]").send_keys(str(picture))
        self.until(self.find("#go").is_enabled)

    def restore(self) -> None:
        self.find("#go").click()
        self.until(lambda: "command line" in self.find("#status").text)

    def tab(self, name: str) -> None:
        tabs = self.driver.find_elements("css selector", "button[role=tab]")
        next(tab for tab in tabs if tab.text == name).click()

    def download(self) -> Path:
        """The file that was downloaded, whole: while it comes, a part of it, or an empty file, stands there."""
        self.find("#download").click()

        def whole() -> list[Path]:
            there = list(self.downloads.glob("*"))
            partial = any(path.suffix in (".crdownload", ".tmp") or not path.stat().st_size for path in there)
            return [] if partial else there

        return Path(self.until(whole)[0])

    def shoot(self, name: str) -> None:
        if folder := os.environ.get("NLRN_SCREENSHOTS"):
            time.sleep(1)  # for what fades in
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def requests(self) -> set[str]:
        """The addresses of the net that the page and the browser asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        return {url for url in sent if url.startswith(("http", "ws", "ftp"))}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_page() as address:
        yield address


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield Browser(driver, tmp_path / "downloads")
    finally:
        driver.quit()


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A noisy photograph of 16 bits with a resolution and a text of its own."""
    clean = pytest.importorskip("skimage.data").chelsea()[60:180, 100:260] * 257.0
    noisy = clean + np.random.default_rng(0).normal(0, 20 * 257, clean.shape)
    like = Picture(clean, Metadata(dpi=(300.0, 300.0), text=(("Title", "a cat"),)))
    images.write(tmp_path / "cat photo.png", noisy.clip(0, 65535).astype(np.uint16), like=like)
    return tmp_path / "cat photo.png"


def test_a_picture_is_restored_as_by_the_command_line(browser: Browser, address: str, photo: Path) -> None:
    """With the estimate, then with the sigma slider moved; and nothing is asked of any other machine."""
    browser.driver.get(address)
    browser.find("#file input[type=file]")
    browser.shoot("1-empty")
    browser.open(address, photo)
    browser.shoot("2-opened")
    assert "160 x 120 pixels, 16-bit RGB, PNG" in browser.find("#about").text
    sigma = browser.find("#sigma input[type=range]")
    assert float(sigma.get_attribute("value")) == pytest.approx(20, abs=2)
    browser.restore()
    browser.shoot("3-restored")
    assert " s, " in browser.find("#status").text  # the time it took
    made = browser.download()
    expected = photo.with_name("expected.png")
    assert main(["denoise", str(photo), "-o", str(expected), "--device", "cpu"]) == 0
    assert made.name == "cat photo-denoised.png"
    assert made.read_bytes() == expected.read_bytes()
    kept = images.read(made)
    assert kept.pixels.dtype == np.uint16
    assert kept.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    assert ("Title", "a cat") in kept.metadata.text

    made.unlink()
    for _ in range(6):
        sigma.send_keys("\ue014")  # the arrow to the right, half a level each
    browser.until(lambda: not browser.find("#estimated input").is_selected())
    level = float(sigma.get_attribute("value"))
    browser.find("#go").click()
    browser.until(lambda: f"--sigma {level:g}" in browser.find("#status").text)
    assert main(["denoise", str(photo), "-o", str(expected), "--device", "cpu", "--sigma", f"{level:g}"]) == 0
    assert browser.download().read_bytes() == expected.read_bytes()

    asked = browser.requests()
    assert any("/gradio_api/file=" in url for url in asked)
    assert all(url.startswith(address) for url in asked)
    severe = [entry for entry in browser.driver.get_log("browser") if entry["level"] == "SEVERE"]
    assert not severe


def test_the_line_between_before_and_after_moves(browser: Browser, address: str, photo: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(address, photo)
    browser.restore()

    def clipped() -> str:
        return str(browser.find("#slider img.fixed").value_of_css_property("clip-path"))

    before = clipped()
    assert "50%" in before
    line = browser.find("#slider .inner")
    ActionChains(browser.driver).drag_and_drop_by_offset(line, -150, 0).perform()
    browser.until(lambda: clipped() != before)
    browser.shoot("4-line-moved")


def test_a_click_shows_what_the_network_looks_at(browser: Browser, address: str, photo: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(address, photo)
    browser.tab("What it looks at")
    shown = browser.until(lambda: browser.find("#picture img"))
    browser.until(lambda: shown.size["width"] > 100)
    ActionChains(browser.driver).move_to_element_with_offset(shown, 0, 0).click().perform()
    browser.until(lambda: browser.find("#said").text.startswith("Pixel"))
    x, y = (int(browser.find(f"#{axis} input").get_attribute("value")) for axis in "xy")
    assert (x, y) == (pytest.approx(80, abs=2), pytest.approx(60, abs=2))
    source = browser.until(lambda: browser.find("#maps img").get_attribute("src"))
    browser.shoot("5-looks")
    kept = Path(source.partition("file=")[2])
    expected = draw(explain(load("denoise-color-lite"), images.read(photo).pixels, x, y))
    assert np.abs(images.read(kept).pixels.astype(int) - expected).max() <= 1

    browser.find("#x input").clear()
    browser.find("#x input").send_keys("5000")
    browser.find("#explain").click()
    browser.until(lambda: "X goes from 0 to 159" in browser.find(".toast-body").text)
    browser.shoot("6-outside")


def test_a_picture_is_enlarged_and_the_models_compared(browser: Browser, address: str, photo: Path) -> None:
    browser.open(address, photo)
    browser.driver.find_elements("css selector", "#task input")[1].click()
    browser.until(lambda: browser.find("#go").text == "Enlarge")
    browser.driver.find_elements("css selector", "#scale input")[1].click()
    browser.restore()
    browser.shoot("7-enlarged")
    expected = photo.with_name("expected.png")
    assert main(["upscale", str(photo), "-o", str(expected), "--device", "cpu", "--scale", "3"]) == 0
    assert browser.download().read_bytes() == expected.read_bytes()
    browser.tab("All models")
    browser.find("#compare").click()
    browser.find("#gallery img")
    browser.until(lambda: "sr-lite" in browser.find("#gallery").text)
    browser.shoot("8-compared")


def test_a_file_that_is_no_picture_is_said_by_name(browser: Browser, address: str, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    browser.driver.get(address)
    browser.find("#file input[type=file]").send_keys(str(tmp_path / "broken.png"))
    said = browser.until(lambda: "Cannot be used" in browser.find("#about").text and browser.find("#about").text)
    browser.shoot("9-broken")
    assert "broken.png" in said
    assert str(tmp_path) not in said
    assert not browser.find("#go").is_enabled()
