"""What cannot be read or written is refused in one sentence with the file's name, and nothing is left half-done."""

import builtins
import contextlib
import os
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nlrn import images
from nlrn.images import reading, writing
from nlrn.images.formats import avif, png

RNG = np.random.default_rng(2)
PIXELS = RNG.integers(0, 256, (40, 60, 3), dtype=np.uint8)
ALL = [".png", ".tif", ".jpg", ".webp", ".bmp", ".ppm", ".avif"]


@pytest.fixture(autouse=True, scope="module")
def _no_wait_for_the_disk() -> Iterator[None]:
    """A thousand files a run, none of which has to survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing.os, "fsync", lambda handle: None)
        yield


def refused(path: Path, *words: str) -> None:
    with pytest.raises(images.ImageFileError) as caught:
        images.read(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert message.endswith(".")
    assert "\n" not in message
    for word in words:
        assert word in message


def test_missing_folder_empty_text_and_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "x.png", "does not exist")
    refused(tmp_path, "is a folder")
    (tmp_path / "e.png").touch()
    refused(tmp_path / "e.png", "is empty")
    (tmp_path / "t.png").write_text("an essay")
    refused(tmp_path / "t.png", "is not an image")
    (tmp_path / "t.gif").write_bytes(b"GIF89a")
    refused(tmp_path / "t.gif", "cannot be decoded")
    if os.path.exists("/dev/zero"):
        refused(Path("/dev/zero"), "no ordinary file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is readable to root")
def test_not_readable(tmp_path: Path) -> None:
    images.write(tmp_path / "x.png", PIXELS)
    (tmp_path / "x.png").chmod(0)
    refused(tmp_path / "x.png", "permission")


@pytest.mark.parametrize("suffix", ALL)
def test_wrong_extension_names_the_right_one(tmp_path: Path, suffix: str) -> None:
    images.write(tmp_path / f"x{suffix}", PIXELS)
    wrong = tmp_path / ("x.png" if suffix != ".png" else "x.jpg")
    (tmp_path / f"x{suffix}").rename(wrong)
    refused(wrong, "rename it to x.")
    bare = wrong.rename(tmp_path / "x")  # no suffix tells nothing wrong
    assert images.read(bare).pixels.shape == PIXELS.shape


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".ppm"])
@settings(max_examples=30, deadline=None)
@given(share=st.floats(0, 0.99))
def test_truncated_deep_files(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, dtype: str, share: float
) -> None:
    folder = tmp_path_factory.mktemp("x")
    images.write(folder / f"x{suffix}", PIXELS.astype(dtype))
    data = (folder / f"x{suffix}").read_bytes()
    (folder / f"x{suffix}").write_bytes(data[: int(share * len(data))])
    refused(folder / f"x{suffix}")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".avif"])
def test_truncated_files(tmp_path: Path, suffix: str, share: float) -> None:
    images.write(tmp_path / f"x{suffix}", PIXELS)
    data = (tmp_path / f"x{suffix}").read_bytes()
    (tmp_path / f"x{suffix}").write_bytes(data[: int(share * len(data))])
    refused(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", ALL)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_bytes_never_crash(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, dtype: str, data: st.DataObject
) -> None:
    """A damaged file is refused or read, in its own words; nothing else is raised and nothing warned."""
    if dtype == "uint16" and suffix not in (".png", ".tif", ".ppm"):
        dtype = "uint8"
    folder = tmp_path_factory.mktemp("x")
    images.write(folder / f"x{suffix}", PIXELS[:6, :7].astype(dtype))
    content = bytearray((folder / f"x{suffix}").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / f"x{suffix}").write_bytes(content)
    with contextlib.suppress(images.ImageFileError):
        picture = images.read(folder / f"x{suffix}")
        assert picture.pixels.dtype.name in ("uint8", "uint16", "float32")
        assert picture.pixels.ndim in (2, 3)


def test_a_file_that_changes_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.write(tmp_path / "x.png", PIXELS)
    original = os.fstat
    seen: list[os.stat_result] = []

    def growing(handle: int) -> os.stat_result:
        seen.append(original(handle))
        with builtins.open(tmp_path / "x.png", "ab") as file:
            file.write(b"more")
        return seen[-1]

    monkeypatch.setattr(reading.os, "fstat", growing)
    refused(tmp_path / "x.png", "changed while it was read")


@pytest.mark.parametrize("depth", [8, 16])
def test_decompression_bomb(tmp_path: Path, depth: int) -> None:
    """A file of a few bytes that claims 2.5 gigapixels, and one of 100 megapixels, which is a photograph."""
    head = struct.pack(">IIBBxxx", 50000, 50000, depth, 2)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    (tmp_path / "x.png").write_bytes(png.SIGNATURE + b"".join(png.chunk(*part) for part in parts))
    refused(tmp_path / "x.png", "2500 megapixels", "cut it")
    (tmp_path / "x.pgm").write_bytes(b"P5 50000 50000 255\n")
    refused(tmp_path / "x.pgm", "2500 megapixels")
    tifffile.imwrite(tmp_path / "x.tif", np.zeros((4, 4), np.uint16))
    data = bytearray((tmp_path / "x.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        for tag in (256, 257):
            struct.pack_into("<H", data, file.pages.first.tags[tag].valueoffset, 50000)
    (tmp_path / "x.tif").write_bytes(data)
    refused(tmp_path / "x.tif", "2500 megapixels")


@pytest.mark.parametrize(("height", "width"), [(8000, 12500), pytest.param(19000, 10000, marks=pytest.mark.slow)])
def test_large_photographs_open_without_a_flag(tmp_path: Path, height: int, width: int) -> None:
    """100 and 190 megapixels: above where Pillow warns, and above where it refuses."""
    Image.new("L", (width, height), 77).save(tmp_path / "x.png", compress_level=1)
    pixels = images.read(tmp_path / "x.png").pixels
    assert pixels.shape == (height, width)
    assert pixels[-1, -1] == 77


def test_animations_and_several_pages(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, 5 * n, 0)) for n in range(3)]
    for suffix in (".png", ".webp", ".avif"):
        frames[0].save(tmp_path / f"x{suffix}", save_all=True, append_images=frames[1:])
        refused(tmp_path / f"x{suffix}", "animated", "single images")
    frames[0].save(tmp_path / "x.tif", save_all=True, append_images=frames[1:])
    refused(tmp_path / "x.tif", "several pages")
    pages = images.read_pages(tmp_path / "x.tif")
    assert len(pages) == 3
    with pytest.raises(images.ImageFileError, match=r"holds no 3 pages, \.tif does"):
        images.write_pages(tmp_path / "y.png", pages)
    assert not (tmp_path / "y.png").exists()


def test_a_reduced_copy_in_a_tiff_is_no_page(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        file.write(PIXELS, photometric="rgb")
        file.write(np.ascontiguousarray(PIXELS[::2, ::2]), photometric="rgb", subfiletype=1)
    np.testing.assert_array_equal(images.read(tmp_path / "x.tif").pixels, PIXELS)


def test_tiff_kinds_that_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    for value in (np.nan, np.inf):
        tifffile.imwrite(path, np.array([[0.5, value]], np.float32))
        refused(path, "NaN or infinite")
    for dtype in ("int16", "uint32", "complex64"):
        tifffile.imwrite(path, np.zeros((3, 4), dtype))
        refused(path, dtype)
    tifffile.imwrite(path, np.zeros((6, 7, 5), np.uint16), photometric="minisblack", planarconfig="contig")
    refused(path, "5 channels")
    tifffile.imwrite(path, np.zeros((6, 7, 5), np.uint8), photometric="minisblack", planarconfig="contig")
    refused(path)
    tifffile.imwrite(path, np.zeros((6, 7, 4), np.uint16), photometric="separated")
    refused(path, "inks")


def test_tiff_that_points_beyond_its_end(tmp_path: Path) -> None:
    """OpenCV and tifffile would fill what is missing with zeros."""
    tifffile.imwrite(tmp_path / "x.tif", np.full((64, 64), 900, np.uint16))
    data = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(data[:-100])
    refused(tmp_path / "x.tif", "ends early")


@pytest.mark.parametrize(
    ("name", "module", "content", "extra"),
    [
        ("x.heic", "pillow_heif", struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic", "heic"),
        ("x.jxl", "pillow_jxl", b"\xff\x0a" + bytes([0x41, 0x04]) + bytes(20), "jxl"),
        ("x.nef", "rawpy", b"MM\0*" + bytes(40), "raw"),
        ("x.cr3", "rawpy", struct.pack(">I", 24) + b"ftypcrx " + bytes(12), "raw"),
        ("x.exr", "OpenEXR", b"\x76\x2f\x31\x01" + bytes(40), "exr"),
    ],
)
def test_a_missing_extra_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, module: str, content: bytes, extra: str
) -> None:
    (tmp_path / name).write_bytes(content)
    monkeypatch.setitem(sys.modules, module, None)
    refused(tmp_path / name, f"nlrn[{extra}]")
    if name == "x.heic":
        with pytest.raises(images.ImageFileError, match=r"x\.heic.*nlrn\[heic\]"):
            images.write(tmp_path / name, PIXELS)


def test_a_pillow_without_avif_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images.write(tmp_path / "x.avif", PIXELS)
    monkeypatch.setattr(avif.features, "check", lambda feature: False)
    refused(tmp_path / "x.avif", "build of Pillow")


@pytest.mark.parametrize(
    ("name", "shape", "dtype", "words"),
    [
        ("x.jpg", (5, 5, 3), "uint16", ("uint16", ".png")),
        ("x.webp", (5, 5, 3), "uint16", ("uint16", ".png")),
        ("x.bmp", (5, 5), "uint16", ("uint16", ".png")),
        ("x.png", (5, 5), "float32", ("float32", ".tif")),
        ("x.jpg", (5, 5, 4), "uint8", ("alpha", ".png")),
        ("x.jpg", (5, 5, 2), "uint8", ("alpha", ".png")),
        ("x.bmp", (5, 5, 4), "uint8", ("alpha", ".png")),
        ("x.ppm", (5, 5, 2), "uint8", ("alpha", ".png")),
        ("x.pgm", (5, 5, 3), "uint8", ("colour", ".ppm")),
        ("x.png", (5, 5, 5), "uint8", ("channels",)),
        ("x.png", (5,), "uint8", ("shape",)),
        ("x.png", (0, 5), "uint8", ("shape",)),
        ("x.png", (5, 5), "float64", ("float64",)),
        ("x.tif", (5, 5), "int16", ("int16",)),
        ("x.xyz", (5, 5), "uint8", ("name that ends in",)),
        ("x.gif", (5, 5), "uint16", ("uint16", ".png")),
        ("x.nef", (5, 5), "uint8", ("name that ends in",)),
        ("x", (5, 5), "uint8", ("name that ends in",)),
        ("x.webp", (2, 16384), "uint8", ("16383", ".png")),
        ("x.jpg", (65501, 1), "uint8", ("65500", ".png")),
    ],
)
def test_what_a_format_cannot_hold(
    tmp_path: Path, name: str, shape: tuple[int, ...], dtype: str, words: tuple[str, ...]
) -> None:
    with pytest.raises(images.ImageFileError) as caught:
        images.write(tmp_path / name, np.zeros(shape, dtype))
    assert str(tmp_path / name) in str(caught.value)
    assert all(word in str(caught.value) for word in words)
    assert not list(tmp_path.iterdir())


def test_nan_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(images.ImageFileError, match="NaN"):
        images.write(tmp_path / "x.tif", np.full((2, 2), np.nan, np.float32))


def test_metadata_too_long_for_jpeg(tmp_path: Path) -> None:
    like = images.Picture(PIXELS, images.Metadata(exif=b"II*\0\x08\0\0\0" + bytes(70000)))
    with pytest.raises(images.ImageFileError, match=r"EXIF data is too long.*\.png"):
        images.write(tmp_path / "x.jpg", PIXELS, like)
    images.write(tmp_path / "x.png", PIXELS, like)


def test_quality_out_of_range(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 to 100"):
        images.write(tmp_path / "x.jpg", PIXELS, quality=0)


def test_target_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(images.ImageFileError, match="create it first"):
        images.write(tmp_path / "no" / "x.png", PIXELS)
    (tmp_path / "d.png").mkdir()
    with pytest.raises(images.ImageFileError, match="is a folder"):
        images.write(tmp_path / "d.png", PIXELS)


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_interrupted_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    images.write(tmp_path / "x.png", PIXELS)
    before = (tmp_path / "x.png").read_bytes()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(writing.os, broken, fail)
    with pytest.raises((images.ImageFileError, KeyboardInterrupt)) as caught:
        images.write(tmp_path / "x.png", PIXELS[::-1])
    if isinstance(error, OSError):
        assert "No space left" in str(caught.value)
    assert (tmp_path / "x.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="permissions and links are those of POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    images.write(tmp_path / "x.png", PIXELS)
    (tmp_path / "plain").touch()
    assert (tmp_path / "x.png").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "x.png").chmod(0o640)
    (tmp_path / "link.png").symlink_to("x.png")
    images.write(tmp_path / "link.png", PIXELS[::-1])
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "x.png").stat().st_mode & 0o777 == 0o640
    np.testing.assert_array_equal(images.read(tmp_path / "x.png").pixels, PIXELS[::-1])


def test_damaged_checksum(tmp_path: Path) -> None:
    """OpenCV decodes what it can of such a file without a word."""
    images.write(tmp_path / "x.png", PIXELS.astype(np.uint16))
    data = bytearray((tmp_path / "x.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "x.png").write_bytes(data)
    refused(tmp_path / "x.png", "damaged", "checksum")


def test_opencv_is_no_judge_of_names(tmp_path: Path) -> None:
    """A name that is not ASCII goes through Python, not through a C library."""
    path = tmp_path / "Grüße 写真.png"
    images.write(path, PIXELS.astype(np.uint16))
    np.testing.assert_array_equal(images.read(path).pixels, PIXELS)
    assert cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED).dtype == np.uint16
