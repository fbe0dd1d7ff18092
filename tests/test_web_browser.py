"""Pictures come, are restored and go, in a real browser; and what goes wrong there."""

import io
import zipfile
from pathlib import Path

from browsing import MARKS, RIGHT, Browser, address, browser, chromium, folder, photo, small
from PIL import Image
from running_page import page_process, until

from nlrn import images
from nlrn.cli import main

__all__ = ["address", "browser", "chromium", "folder", "photo"]  # fixtures
pytestmark = MARKS


def test_a_picture_is_restored_as_by_the_command_line(browser: Browser, address: str, photo: Path) -> None:
    """With the estimate, then with the noise level moved; and nothing is asked of any other machine."""
    browser.open(address, photo)
    assert "128 x 96 pixels, 16-bit RGB, PNG" in browser.text("#found")
    assert "Strong noise (level" in browser.text("#found")
    assert "denoise-color: " in browser.text("#model-said")
    browser.restore()
    made = browser.download("#save")
    expected = photo.with_name("expected.png")
    assert main(["denoise", str(photo), "-o", str(expected), "--device", "cpu"]) == 0
    assert made.name == "cat photo-denoised.png"
    assert made.read_bytes() == expected.read_bytes()
    assert ("Title", "a cat") in images.read(made).metadata.text

    for _ in range(6):
        browser.find("#sigma").send_keys(RIGHT)  # half a level each
    assert not browser.find("#estimated").is_selected()
    browser.says("#said", "of other settings")
    level = float(browser.find("#sigma").get_attribute("value"))
    browser.restore()
    assert f"--sigma {level:g}" in browser.text("#command-said")
    assert main(["denoise", str(photo), "-o", str(expected), "--device", "cpu", "--sigma", f"{level:g}"]) == 0
    assert browser.download("#save").read_bytes() == expected.read_bytes()
    assert all(url.startswith(address) for url in browser.requests())
    assert not browser.complaints()


def test_pictures_are_dropped_anywhere_and_pasted(browser: Browser, address: str) -> None:
    browser.driver.get(address)
    make = """const canvas = document.createElement('canvas'); canvas.width = canvas.height = 40;
        const data = new DataTransfer(), [kind, target, ...names] = arguments, done = names.pop();
        canvas.toBlob((blob) => {
          for (const name of names) data.items.add(new File([blob], name, { type: 'image/png' }));
          const on = document.querySelector(target);
          const more = { bubbles: true, cancelable: true };
          const event = kind === 'paste' ? new ClipboardEvent(kind, { ...more, clipboardData: data })
            : new DragEvent(kind, { ...more, dataTransfer: data });
          on.dispatchEvent(event);
          done(event.defaultPrevented);
        });"""
    browser.says("#welcome", "Drop pictures anywhere")
    send = browser.driver.execute_async_script
    assert send(make, "dragover", "header", "a.png")
    assert browser.find("#dropping").is_displayed()
    assert send(make, "drop", "header", "a.png", "b.png")  # or the browser would leave the page
    until(lambda: not browser.find("#dropping").is_displayed())
    assert send(make, "paste", "body", "image.png")
    assert send(make, "paste", "body", "image.png")
    names = "return [...document.querySelectorAll('#list .name')].map((one) => one.textContent)"
    wanted = {"a.png", "b.png", "pasted-1.png", "pasted-2.png"}
    until(lambda: set(browser.run(names)) == wanted)
    until(lambda: len(browser.driver.find_elements("css selector", "#list img")) == 4)
    assert not browser.complaints()


def test_all_pictures_are_restored_and_come_as_one_file(browser: Browser, address: str, tmp_path: Path) -> None:
    paths = [small(tmp_path / name, seed) for seed, name in enumerate(("a.png", "b.jpg", "c.webp"))]
    browser.open(address, *paths)
    browser.says("#go-all", "all 3")
    browser.find("#go-all").click()
    until(lambda: len(browser.driver.find_elements("css selector", "#list .done")) == 3)
    browser.choose("#format", "jpeg")
    browser.choose("#quality", "70")
    with zipfile.ZipFile(browser.download("#save-all")) as archive:
        assert sorted(archive.namelist()) == ["a-denoised.jpg", "b-denoised.jpg", "c-denoised.jpg"]
        with Image.open(io.BytesIO(archive.read("a-denoised.jpg"))) as image:
            assert (image.format, image.size) == ("JPEG", (64, 64))


def test_a_result_of_other_settings_is_marked_and_not_shown(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.open(address, small(tmp_path / "a.png"), small(tmp_path / "b.png", 1))
    browser.restore()
    assert browser.text("#label-after") == "restored"
    restored = browser.pixel(0.75, 0.5)
    browser.choose("#strength", "0")
    browser.says("#said", "of other settings")
    browser.says("#list .stale .state", "other settings")
    until(lambda: browser.pixel(0.75, 0.5) != restored)
    assert browser.text("#label-after") == "as it came"
    browser.choose("#strength", "100")
    until(lambda: browser.pixel(0.75, 0.5) == restored)
    other = browser.driver.find_elements("css selector", "#list .pick")[1]
    other.click()
    browser.says("#picture-name", "b.png")
    assert browser.text("#label-after") == "preview"
    assert browser.text("#said") == ""
    assert not browser.find("#save").is_displayed()


def test_a_file_that_is_no_picture_is_said_by_name(browser: Browser, address: str, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    browser.driver.get(address)
    browser.find("#files").send_keys(f"{tmp_path / 'broken.png'}\n{small(tmp_path / 'good.png')}")
    browser.says("#list .wrong .state", "broken.png")
    assert str(tmp_path) not in browser.text("#list")
    browser.says("#picture-name", "good.png")  # what can be used is in sight
    browser.find("#list .wrong .pick").click()
    browser.says("#said", "broken.png")
    assert not browser.find("#go").is_enabled()
    browser.find("#list .wrong .drop").click()
    until(lambda: len(browser.driver.find_elements("css selector", "#list li")) == 1)
    browser.says("#picture-name", "good.png")


def test_a_file_that_is_too_large_is_said_by_name(browser: Browser, tmp_path: Path) -> None:
    setup = "from nlrn.web import uploads; uploads.MAX_BYTES = 5000"
    with page_process(setup=setup) as (_, address):
        browser.driver.get(address)
        browser.find("#files").send_keys(f"{small(tmp_path / 'large.png')}\n{small(tmp_path / 'fits.png', side=24)}")
        browser.says("#list .wrong .state", "large.png has more than")
        browser.says("#picture-name", "fits.png")


def long_work(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.open(address, small(tmp_path / "long.png", side=320))
    browser.choose("#model", "denoise-gray")
    browser.run("document.getElementById('ensemble').click()")
    browser.find("#go").click()
    until(lambda: browser.find("#working").is_displayed())


def test_work_is_cancelled_and_can_begin_again(browser: Browser, address: str, tmp_path: Path) -> None:
    long_work(browser, address, tmp_path)
    browser.says("#bar-said", "%")
    until(lambda: browser.find("#stop").is_displayed())
    browser.find("#stop").click()
    until(lambda: browser.find("#go").is_displayed())
    assert browser.text("#said") == ""
    browser.run("document.getElementById('ensemble').click()")
    browser.choose("#model", "")
    browser.find("#go").click()
    until(lambda: browser.find("#working").is_displayed())


def test_a_page_that_is_closed_leaves_neither_work_nor_files(
    browser: Browser, address: str, tmp_path: Path, folder: Path
) -> None:
    long_work(browser, address, tmp_path)
    place = next(folder.glob("nlrn-web-*"))
    assert [path for path in place.iterdir() if path.is_dir()]
    browser.driver.get("about:blank")
    until(lambda: not [path for path in place.iterdir() if path.is_dir()])
    browser.open(address, small(tmp_path / "next.png"))
    browser.restore()


def test_a_server_that_is_gone_is_said(browser: Browser, tmp_path: Path) -> None:
    with page_process() as (page, address):
        browser.open(address, small(tmp_path / "a.png"))
        page.kill()
        page.wait()
        browser.says("#alarm", "does not answer")
        browser.find("#go").click()
        browser.says("#said", "Is it still running")
        browser.shoot("gone")


def test_a_file_that_comes_before_the_server_has_answered_is_not_lost(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    slow = {"offline": False, "latency": 1500, "downloadThroughput": -1, "uploadThroughput": -1}
    browser.driver.execute_cdp_cmd("Network.enable", {})
    browser.driver.get("about:blank")
    try:
        browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", slow)
        browser.open(address, small(tmp_path / "a.png"))
    finally:
        browser.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {**slow, "latency": 0})
