"""The page for everybody: what axe finds, in light and dark, on a phone, and by the keyboard alone."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from browsing import MARKS, TAB, Browser, address, browser, chromium, folder, small

__all__ = ["address", "browser", "chromium", "folder"]  # fixtures
pytestmark = MARKS
AXE = Path(spec.origin).with_name("axe.min.js") if (spec := find_spec("axe_core_python")) and spec.origin else None


@pytest.mark.skipif(AXE is None, reason="axe finds what is not accessible: install axe-core-python")
@pytest.mark.parametrize("phone", [False, True], ids=["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser: Browser, address: str, tmp_path: Path, dark: bool, phone: bool) -> None:
    assert AXE is not None
    axe = AXE.read_text()

    def violations() -> Any:
        browser.run(axe)
        check = """const done = arguments[0]; axe.run({ resultTypes: ['violations'] }).then((found) =>
            done(found.violations.map((one) => [one.id, one.impact, one.nodes.map((node) => node.html)])))"""
        return browser.driver.execute_async_script(check)

    browser.emulate(dark=dark, phone=phone)
    name = f"{'phone' if phone else 'desktop'}-{'dark' if dark else 'light'}"
    browser.driver.get(address)
    browser.shoot(f"{name}-1-empty")
    assert violations() == []
    (tmp_path / "broken.png").write_bytes(b"no")
    paths = small(tmp_path / "a.png"), small(tmp_path / "b.png", 1), tmp_path / "broken.png"
    browser.find("#files").send_keys("\n".join(map(str, paths)))
    browser.says("#list .wrong .state", "broken.png")
    browser.says("#view-said", "as these settings make it.")
    browser.shoot(f"{name}-2-opened")
    assert violations() == []
    browser.restore()
    browser.shoot(f"{name}-3-restored")
    assert violations() == []
    browser.choose("#strength", "50")
    browser.says("#said", "of other settings")
    assert violations() == []
    browser.run(
        "document.querySelector('[name=task][value=sr]').click(); document.getElementById('tab-looks').click()"
    )
    browser.find("#canvas").click()
    browser.says("#looks-said", "Bright")
    browser.shoot(f"{name}-4-looks")
    assert violations() == []
    browser.run("document.getElementById('tab-models').click()")
    browser.sees_all_models("sr")
    browser.shoot(f"{name}-5-models")
    assert violations() == []


def test_a_phone_shows_picture_and_button_first(browser: Browser, address: str, tmp_path: Path) -> None:
    browser.emulate(phone=True)
    browser.open(address, small(tmp_path / "a.png"))
    in_sight = """return ['#canvas', arguments[0]].every((css) => {
        const { top, bottom, left, right } = document.querySelector(css).getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth; })
        && document.documentElement.scrollWidth <= innerWidth"""
    assert browser.run(in_sight, "#go")
    browser.restore()
    assert browser.run(in_sight, "#said")
    assert browser.text("#label-after") == "restored"


def test_everything_is_reached_by_the_keyboard_in_order_and_seen(
    browser: Browser, address: str, tmp_path: Path
) -> None:
    browser.open(address, small(tmp_path / "a.png"))
    browser.says("#view-said", "as these settings make it.")
    browser.run("document.activeElement.blur()")
    seen: list[str] = []
    focused = """const one = document.activeElement;
        const ring = one.type === 'radio' ? one.nextElementSibling : one.id === 'line' ? one.firstElementChild : one;
        const { outlineStyle, outlineWidth } = getComputedStyle(ring);
        return [one.id || one.className || one.name, outlineStyle, parseFloat(outlineWidth)]"""
    for _ in range(30):
        browser.driver.switch_to.active_element.send_keys(TAB)
        name, style, width = browser.run(focused)
        if not name or (seen and name == seen[0]):
            break
        assert style != "none", name
        assert width >= 2, name
        seen.append(name)
    wanted = [
        "skip",
        "pick",
        "drop",
        "tab-compare",
        "canvas",
        "line",
        "zoom-out",
        "task",
        "go",
        "strength",
        "sigma",
        "model",
    ]
    assert [name for name in seen if name in wanted] == wanted
