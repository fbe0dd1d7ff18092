"""What is seen of a picture on the page, in a real browser: before and after, single pixels, all models."""

from pathlib import Path

import numpy as np
import pytest
from browsing import ENTER, LEFT, MARKS, RIGHT, Browser, address, browser, chromium, folder, photo, small
from PIL import Image
from running_page import until

from nlrn import images, load
from nlrn.explanation.attention import explain
from nlrn.explanation.heatmaps import draw

__all__ = ["address", "browser", "chromium", "folder", "photo"]  # fixtures
pytestmark = MARKS


def test_what_is_looked_at_is_shown_as_the_settings_would_make_it(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    browser.open(address, small(tmp_path / "a.png"))
    browser.says("#view-said", "as these settings make it.")
    noisy = browser.pixel(0.25, 0.5)
    gray = [128, 128, 128]
    assert np.abs(np.subtract(browser.pixel(0.75, 0.5), gray)).max() < 12
    browser.choose("#strength", "200")
    browser.says("#view-said", "as these settings make it.")
    browser.choose("[name=task][value=sr]", "sr")
    browser.says("#model-said", "sr: ")
    browser.says("#view-said", "as these settings make it.")
    assert browser.text("#label-before") == "before, interpolated"
    browser.choose("[name=task][value=denoise]", "denoise")
    until(lambda: browser.pixel(0.25, 0.5) == noisy)
    Image.new("RGB", (80, 80), (90, 120, 150)).save(tmp_path / "clean.png")
    browser.open(address, tmp_path / "clean.png")
    browser.says("#view-said", "no noise to speak of")
    browser.find("#go").click()
    browser.says("#said", "Left as it is: no noise to speak of")


def test_single_pixels_are_reached_by_keys_wheel_and_touch(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.open(address, small(tmp_path / "a.png"))
    colours = np.array(Image.open(tmp_path / "a.png"))
    canvas = browser.find("#canvas")
    canvas.send_keys("1")  # a pixel is eight now, with number 32, 32 right below the middle
    box = browser.run("return (({ width, height }) => [width, height])(document.getElementById('canvas'))")
    at = (0.5 - 4 / box[0], 0.5 + 4 / box[1])
    until(lambda: browser.pixel(*at) == colours[32, 31].tolist())
    for keys, row, col in ((RIGHT, 32, 36), ("\ue015", 37, 36), (LEFT, 37, 31), ("\ue013", 32, 31)):
        canvas.send_keys(keys)  # 40 pixels of the screen: five of the picture
        until(lambda row=row, col=col: browser.pixel(*at) == colours[row, col].tolist())
    zoom = lambda: int(browser.text("#zoom-said").split()[0])  # noqa: E731
    assert zoom() == 800
    canvas.send_keys("0")
    fitted = zoom()
    wheel = "new WheelEvent('wheel', { deltaY: -120, bubbles: true, cancelable: true })"
    browser.run(f"document.getElementById('canvas').dispatchEvent({wheel})")
    assert zoom() > fitted
    browser.find("#zoom-fit").click()
    assert zoom() == fitted
    middle = browser.run(
        "const b = arguments[0].getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]", canvas
    )

    def touch(kind: str, *apart: float) -> None:
        points = [{"x": middle[0] + x, "y": middle[1], "id": i} for i, x in enumerate(apart)]
        browser.driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", -30, 30)
    for apart in (40, 60, 90):
        touch("touchMove", -apart, apart)
    touch("touchEnd")
    assert zoom() > 1.5 * fitted


def test_the_line_between_before_and_after_moves_by_mouse_and_keys(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    from selenium.webdriver import ActionChains

    browser.open(address, small(tmp_path / "a.png"))
    browser.says("#view-said", "as these settings make it.")
    line = browser.find("#line")

    def place() -> int:
        return int(line.get_attribute("aria-valuenow"))

    assert place() == 50
    before = browser.pixel(0.45, 0.5), browser.pixel(0.75, 0.5)
    ActionChains(browser.driver).drag_and_drop_by_offset(browser.find("#line span"), -150, 0).perform()
    assert place() < 40
    assert browser.pixel(0.45, 0.5) != before[0]
    line.send_keys("\ue010")  # End
    assert place() == 100
    assert browser.pixel(0.75, 0.5) != before[1]
    line.send_keys(LEFT)
    assert place() == 98


def test_a_click_shows_what_the_network_looks_at(browser: Browser, address: str, photo: Path) -> None:
    from selenium.webdriver import ActionChains

    browser.open(address, photo)
    browser.find("#tab-looks").click()
    ActionChains(browser.driver).move_to_element(browser.find("#canvas")).click().perform()
    browser.says("#looks-said", "Bright")
    x, y = (int(part) for part in browser.text("#looks-said").split(".")[0].removeprefix("Pixel ").split(", "))
    assert (x, y) == (pytest.approx(64, abs=1), pytest.approx(48, abs=1))
    script = """const image = document.getElementById('looks-image'), canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
        const context = canvas.getContext('2d'); context.drawImage(image, 0, 0);
        return [...context.getImageData(0, 0, canvas.width, canvas.height).data]"""
    shown = np.array(browser.run(script), np.uint8)
    expected = draw(explain(load("denoise-color"), images.read(photo).pixels, x, y))
    assert np.abs(shown.reshape(*expected.shape[:2], 4)[..., :3].astype(int) - expected).max() <= 2
    assert "heat map" in browser.find("#looks-image").get_attribute("alt")

    browser.find("#canvas").send_keys(RIGHT, ENTER)  # without a mouse
    browser.says("#looks-said", "Bright")
    assert f"Pixel {x}, {y}." not in browser.text("#looks-said")
    browser.shoot("looks")


def test_all_models_fit_into_the_window(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.open(address, small(tmp_path / "a.png", side=32))
    browser.find("#tab-models").click()
    browser.sees_all_models("denoise")
    script = """const gallery = document.getElementById('gallery');
        const inside = (image) => image.getBoundingClientRect().bottom <= innerHeight;
        return [...gallery.querySelectorAll('img')].every(inside)
          && document.documentElement.scrollHeight <= innerHeight
          && gallery.scrollHeight <= gallery.clientHeight + 1"""
    assert browser.run(script)
    assert "denoise-gray-lite" in browser.text("#gallery")
    browser.shoot("models")
