"""Names and places of uploaded files, and what is left of a page that was killed."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from running_page import page_process

pytest.importorskip("starlette", reason="the page needs starlette: install nlrn[web]")

from starlette.requests import ClientDisconnect

from nlrn.web import uploads
from nlrn.web.refused import RefusedError
from nlrn.web.uploads import private_folder, receive, safe_name


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Käse & Brot.tif", "Käse & Brot.tif"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "picture"),
        ("", "picture"),
        ("a/b\\c:d.png", "a_b_c_d.png"),
        ("new\nline\x1b[31m.png", "new_line_[31m.png"),
        ("gpj\u202egnp.png", "gpj_gnp.png"),
        (".hidden.png", "hidden.png"),
        ("dots...", "dots"),
        ('"quotes"<>|?*.png', "_quotes______.png"),
    ],
)
def test_a_name_is_kept_as_far_as_every_system_takes_it(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


@pytest.mark.parametrize("letter", ["a", "ä", "漢", "🙂"])
def test_a_long_name_is_cut_between_letters_and_keeps_its_ending(letter: str) -> None:
    name = safe_name(letter * 300 + ".tiff")
    assert len(name.encode()) <= 200
    assert set(name.removesuffix(".tiff")) == {letter}
    assert name.endswith(".tiff")


async def _pieces(*sizes: int, error: Exception | None = None) -> AsyncIterator[bytes]:
    for size in sizes:
        yield b"x" * size
    if error:
        raise error


def test_what_is_too_large_or_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "one" / "a.png"
    assert asyncio.run(receive(_pieces(10, 20), path, most=30)) == 30
    assert path.stat().st_size == 30
    monkeypatch.setattr(uploads, "MAX_BYTES", 100)
    gone = ClientDisconnect()
    for body, most, kind in (
        (_pieces(60, 60), 1000, RefusedError),
        (_pieces(60), 50, RefusedError),
        (_pieces(60, error=gone), 1000, ClientDisconnect),
    ):
        with pytest.raises(kind):
            asyncio.run(receive(body, tmp_path / "two" / "a.png", most))
        assert not (tmp_path / "two").exists()
    monkeypatch.setattr(uploads, "FREE_BYTES", 1 << 60)
    with pytest.raises(RefusedError, match="nearly full"):
        asyncio.run(receive(_pieces(60), tmp_path / "two" / "a.png", 1000))
    assert not (tmp_path / "two").exists()


def test_the_folder_is_private_and_goes_at_the_end(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail() -> None:
        with private_folder() as folder:
            assert folder.parent == Path(os.path.realpath(tmp_path))
            assert folder.stat().st_mode & 0o077 == 0
            (folder / "deep").mkdir()
            (folder / "deep" / "a.png").write_bytes(b"x")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_a_killed_page_left_goes_when_the_next_begins_and_that_of_a_living_one_stays(tmp_path: Path) -> None:
    (tmp_path / "nlrn-web-not-ours").mkdir()  # without the lock that the page makes
    with page_process(folder=tmp_path) as (alive, _), page_process(folder=tmp_path) as (killed, _):
        before = set(tmp_path.iterdir())
        assert len(before) == 3
        killed.send_signal(signal.SIGKILL)
        killed.wait(20)
        assert set(tmp_path.iterdir()) == before
        with page_process(folder=tmp_path) as (third, _):
            assert len(set(tmp_path.iterdir()) & before) == 2
            for page in (alive, third):
                page.send_signal(signal.SIGTERM)
                page.communicate(timeout=20)
    assert [path.name for path in tmp_path.iterdir()] == ["nlrn-web-not-ours"]
