"""What a file may cost is bounded, and said in words of our own: pages, pixels, bytes, seconds."""

import os
import struct
import threading
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from nlrn import images
from nlrn.images import limits, reading
from nlrn.images.formats import png

PIXELS = np.random.default_rng(6).integers(0, 256, (12, 16, 3), dtype=np.uint8)


def refused(path: Path, *words: str) -> None:
    with pytest.raises(images.ImageFileError) as caught:
        images.read_pages(path)
    for word in (str(path), *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("pages", [1, 2, 5])
@pytest.mark.parametrize("back", [0, 1, 4])
@pytest.mark.parametrize("big", [False, True])
def test_pages_that_lead_round_in_a_circle_are_refused(tmp_path: Path, big: bool, pages: int, back: int) -> None:
    if back >= pages:
        pytest.skip("there is no such page")
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((pages, 4, 4), np.uint8), metadata=None, bigtiff=big, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        offsets = [page.offset for page in file.pages]
    data = bytearray(path.read_bytes())
    count, entry, place = ("<Q", 20, "<Q") if big else ("<H", 12, "<I")
    link = offsets[-1] + struct.calcsize(count) + entry * struct.unpack_from(count, data, offsets[-1])[0]
    struct.pack_into(place, data, link, offsets[back])
    path.write_bytes(data)
    started = time.perf_counter()
    refused(path, "circle")
    assert time.perf_counter() - started < 5


def test_too_many_pages_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PAGES", 3)
    from nlrn.images.formats import tiff_reading

    monkeypatch.setattr(tiff_reading, "MAX_PAGES", 3)
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((4, 4, 4), np.uint8), photometric="minisblack")
    refused(tmp_path / "x.tif", "more than 3 pages", "split it")
    frames = [Image.fromarray(np.roll(PIXELS, n, 0)) for n in range(4)]
    frames[0].save(tmp_path / "x.gif", save_all=True, append_images=frames[1:])
    refused(tmp_path / "x.gif", "more than 3 pages")


def test_too_many_bytes_are_refused_unread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open(tmp_path / "x.png", "wb") as file:
        file.truncate(limits.MAX_BYTES + 1)  # of nothing: it takes no room on the disk
    refused(tmp_path / "x.png", "8 GiB", "split it")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".bmp", ".ppm", ".gif", ".avif"])
def test_a_limit_of_the_caller_is_held_before_decoding(tmp_path: Path, suffix: str) -> None:
    """A large picture is refused from its header: memory stays at a part of its pixels."""
    large = np.zeros((2000, 2000, 3), np.uint8)
    images.write(tmp_path / f"x{suffix}", large)
    tracemalloc.start()
    try:
        with pytest.raises(images.ImageFileError, match="claims 4 megapixels, and at most 1 are opened"):
            images.read(tmp_path / f"x{suffix}", max_pixels=10**6)
        stored = (tmp_path / f"x{suffix}").stat().st_size
        assert tracemalloc.get_traced_memory()[1] < 3 * stored + large.nbytes // 4
    finally:
        tracemalloc.stop()
    assert images.read(tmp_path / f"x{suffix}").pixels.shape[:2] == (2000, 2000)


def test_frames_count_together(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, n, 0)) for n in range(4)]
    for suffix in (".gif", ".png", ".webp"):
        frames[0].save(tmp_path / f"x{suffix}", save_all=True, append_images=frames[1:])
        with pytest.raises(images.ImageFileError, match="at most"):
            images.read_pages(tmp_path / f"x{suffix}", max_pixels=3 * 12 * 16)
        assert len(images.read_pages(tmp_path / f"x{suffix}", max_pixels=4 * 12 * 16)) == 4


def with_chunks(*told: tuple[bytes, bytes]) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in PIXELS)
    head = struct.pack(">IIBBBBB", 16, 12, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *told, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(png.chunk(*part) for part in parts)


@pytest.mark.parametrize("size", [10**5, 3 * 10**6])
@pytest.mark.parametrize("name", [b"zTXt", b"iTXt", b"tEXt", b"iCCP"])
def test_long_texts_and_profiles_of_a_png_are_kept(tmp_path: Path, name: bytes, size: int) -> None:
    text = (b'{"node": 1}' * (size // 11 + 1))[:size]
    if name == b"iCCP":
        text = struct.pack(">I", size) + bytes(8) + b"mntrRGB XYZ " + text[24:]
    content = {
        b"zTXt": b"workflow\0\0" + zlib.compress(text),
        b"iTXt": b"workflow\0\1\0\0\0" + zlib.compress(text),
        b"tEXt": b"workflow\0" + text,
        b"iCCP": b"workflow\0\0" + zlib.compress(text),
    }[name]
    (tmp_path / "x.png").write_bytes(with_chunks((name, content)))
    picture = images.read(tmp_path / "x.png")
    images.write(tmp_path / "y.png", picture.pixels, picture)
    for path in ("x.png", "y.png"):
        found = images.read(tmp_path / path).metadata
        if name == b"iCCP":
            assert found.icc == text
        else:
            assert found.text == (("workflow", text.decode()),)


def test_a_text_that_unpacks_without_end_is_left_out(tmp_path: Path) -> None:
    """A hundred kilobytes that would become a hundred megabytes."""
    packed = zlib.compress(bytes(limits.MAX_METADATA + 2**20), 9)
    for name, content in ((b"zTXt", b"a\0\0" + packed), (b"iCCP", b"a\0\0" + packed)):
        (tmp_path / "x.png").write_bytes(with_chunks((name, content)))
        picture = images.read(tmp_path / "x.png")
        np.testing.assert_array_equal(picture.pixels, PIXELS)
        assert not any(text for _, text in picture.metadata.text)
        assert picture.metadata.icc is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with a name")
def test_a_pipe_is_read_and_one_that_stays_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PATIENCE", 0.5)
    monkeypatch.setattr(reading, "PATIENCE_WITH_NOBODY", 0.5)
    pipe = tmp_path / "x.png"
    os.mkfifo(pipe)
    refused(pipe, "nobody writes")
    silent = os.open(pipe, os.O_RDWR)
    try:
        refused(pipe, "sends nothing")
    finally:
        os.close(silent)
    monkeypatch.setattr(reading, "PATIENCE_WITH_NOBODY", 20.0)
    images.write(tmp_path / "y.png", PIXELS)
    data = (tmp_path / "y.png").read_bytes()

    def send() -> None:
        with open(pipe, "wb", buffering=0) as file:
            for start in range(0, len(data), 100):
                file.write(data[start : start + 100])
                time.sleep(0.001)

    writer = threading.Thread(target=send)
    writer.start()
    np.testing.assert_array_equal(images.read(pipe).pixels, PIXELS)
    writer.join()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_exif_cut_off_anywhere_does_not_spoil_the_picture(tmp_path: Path, suffix: str) -> None:
    block = Image.Exif()
    block[0x0112] = 6
    block[0x010E] = "a description"
    whole = block.tobytes()
    for length in range(len(whole)):
        Image.fromarray(PIXELS).save(tmp_path / f"x{suffix}", exif=whole[:length])
        picture = images.read(tmp_path / f"x{suffix}")
        assert sorted(picture.pixels.shape) == [3, 12, 16]
        for target in (".tif", ".png", ".jpg"):
            images.write(tmp_path / f"y{target}", picture.pixels, picture)


@pytest.mark.parametrize(
    "text", ["\nexif\n   10\nno digits", "\nexif\n", "", "\nexif\n  4\n49492a", "\niptc\n 3\n616"]
)
@pytest.mark.parametrize("keyword", ["Raw profile type exif", "Raw profile type iptc", "Raw profile type APP1"])
def test_a_profile_as_text_that_is_damaged_is_passed_over(tmp_path: Path, keyword: str, text: str) -> None:
    (tmp_path / "x.png").write_bytes(with_chunks((b"tEXt", keyword.encode() + b"\0" + text.encode())))
    np.testing.assert_array_equal(images.read(tmp_path / "x.png").pixels, PIXELS)
