"""The page in Chromium, for the tests of what a person does there.

Needs Chromium and its driver (Debian: chromium, chromium-driver). With NLRN_SCREENSHOTS=FOLDER in the environment
the pictures of the page are left there to be looked at.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from running_page import running_page, until

from nlrn import images
from nlrn.images import Metadata, Picture
from nlrn.models.cards import list_models

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MARKS = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("uvicorn") is None, reason="the page needs uvicorn: install nlrn[web]"),
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
RIGHT, LEFT, ENTER, TAB = "\ue014", "\ue012", "\ue007", "\ue004"


class Browser:
    """Chromium on the page, with what the tests do there."""

    def __init__(self, driver: Any, downloads: Path) -> None:
        self.driver = driver
        self.downloads = downloads

    def find(self, css: str) -> Any:
        return until(lambda: next(iter(self.driver.find_elements("css selector", css)), None))

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def text(self, css: str) -> str:
        return str(self.run("return document.querySelector(arguments[0])?.textContent ?? ''", css))

    def says(self, css: str, words: str) -> None:
        try:
            until(lambda: words in self.text(css))
        except AssertionError:
            raise AssertionError(f"{css} says {self.text(css)!r}, not {words!r}") from None

    def open(self, address: str, *pictures: Path) -> None:
        self.driver.get(address)
        self.find("#files").send_keys("\n".join(map(str, pictures)))
        self.says("#found", "pixels")
        until(lambda: self.find("#go").is_enabled())

    def choose(self, selector: str, value: str) -> None:
        """Set a field as a person does."""
        self.run(
            "const field = document.querySelector(arguments[0]); if (field.type === 'radio') field.checked = true;"
            "else field.value = arguments[1]; field.dispatchEvent(new Event('input', { bubbles: true }))",
            selector,
            value,
        )

    def restore(self) -> None:
        self.find("#go").click()
        self.says("#said", "Done in")

    def pixel(self, x: float, y: float) -> list[int]:
        """The colour on the canvas, at shares of its sides."""
        script = """const canvas = document.getElementById('canvas'), [x, y] = arguments;
            return [...canvas.getContext('2d').getImageData(canvas.width * x, canvas.height * y, 1, 1).data]"""
        return list(self.run(script, x, y))[:3]

    def download(self, css: str) -> Path:
        """The file that was downloaded, whole: while it comes, a part of it, or an empty file, stands there."""
        for old in self.downloads.glob("*"):
            old.unlink()
        self.find(css).click()

        def whole() -> list[Path]:
            there = list(self.downloads.glob("*"))
            partial = any(path.suffix in (".crdownload", ".tmp") or not path.stat().st_size for path in there)
            return [] if partial else there

        return Path(until(whole)[0])

    def sees_all_models(self, task: str) -> None:
        """The picture as it came, and through every model that ships."""
        count = 1 + sum(card["config"]["task"] == task for card in list_models().values())
        until(lambda: len(self.driver.find_elements("css selector", "#gallery img")) == count)

    def emulate(self, *, dark: bool = False, phone: bool = False) -> None:
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        if phone:
            size = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
            self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
            self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
        else:
            self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
            self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})

    def shoot(self, name: str) -> None:
        if folder := os.environ.get("NLRN_SCREENSHOTS"):
            time.sleep(1)  # for what is still drawn
            self.driver.save_screenshot(str(Path(folder) / f"{name}.png"))

    def requests(self) -> set[str]:
        """The addresses of the net that the page and the browser asked for since the last time."""
        events = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = {e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"}
        return {url for url in sent if url.startswith(("http", "ws", "ftp"))}

    def complaints(self) -> list[Any]:
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with running_page(folder=folder) as address:
        yield address


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium drives the browser")
    place = tmp_path_factory.mktemp("browser")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={place / 'profile'}"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(place / "downloads")})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        yield Browser(driver, place / "downloads")
    finally:
        driver.quit()


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    chromium.emulate()
    chromium.requests()
    chromium.complaints()
    yield chromium
    chromium.driver.get("about:blank")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A noisy photograph of 16 bits with a resolution and a text of its own."""
    clean = pytest.importorskip("skimage.data").chelsea()[60:156, 100:228] * 257.0
    noisy = clean + np.random.default_rng(0).normal(0, 20 * 257, clean.shape)
    like = Picture(clean, Metadata(dpi=(300.0, 300.0), text=(("Title", "a cat"),)))
    images.write(tmp_path / "cat photo.png", noisy.clip(0, 65535).astype(np.uint16), like=like)
    return tmp_path / "cat photo.png"


def small(path: Path, seed: int = 0, side: int = 64) -> Path:
    pixels = 128 + 15 * np.random.default_rng(seed).standard_normal((side, side, 3))
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)
    return path
