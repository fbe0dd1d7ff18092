"""Profile, EXIF, XMP, resolution and orientation survive; a camera's own notes byte by byte."""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from nlrn import images
from nlrn.images import exif, writing

RGB_PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
GRAY_PROFILE = RGB_PROFILE[:16] + b"GRAY" + RGB_PROFILE[20:]
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><d tiff:Orientation="%d"/></x:xmpmeta>'
NOTES = b"camera notes whose offsets count from the start of the block"
RNG = np.random.default_rng(1)
PIXELS = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)


@pytest.fixture(autouse=True, scope="module")
def _no_wait_for_the_disk() -> Iterator[None]:
    """A thousand files a run, none of which has to survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing.os, "fsync", lambda handle: None)
        yield


def exif_block(orientation: int = 1, size: tuple[int, int] = (20, 12)) -> bytes:
    """A block with a description, an orientation, a folder with sizes and notes, and a position."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = "a description"
    block[0x0110] = "a camera"
    block.get_ifd(0x8769).update({0x927C: NOTES, 0xA002: size[0], 0xA003: size[1], 0x829A: 0.01})
    block.get_ifd(0x8825).update({1: "N", 2: (47.0, 22.0, 33.5)})
    return block.tobytes()


def contents(path: Path) -> dict[object, object]:
    """What Pillow reads from the EXIF of a file, flat."""
    with Image.open(path) as image:
        block = image.getexif()
        return {**block, **block.get_ifd(0x8769), **{("gps", k): v for k, v in block.get_ifd(0x8825).items()}}


@pytest.mark.parametrize("source", [".jpg", ".png", ".webp", ".tif", ".avif"])
@pytest.mark.parametrize("target", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_metadata_goes_from_any_format_to_any_other(tmp_path: Path, source: str, target: str) -> None:
    options = {"quality": 95} if source in (".jpg", ".webp", ".avif") else {}
    Image.fromarray(PIXELS).save(
        tmp_path / f"in{source}", exif=exif_block(), icc_profile=RGB_PROFILE, dpi=(300, 150), **options
    )
    picture = images.read(tmp_path / f"in{source}")
    larger = np.repeat(picture.pixels, 2, 0)
    images.write(tmp_path / f"out{target}", larger, picture)
    with Image.open(tmp_path / f"out{target}") as image:
        assert image.info["icc_profile"] == RGB_PROFILE
        if not {source, target} & {".webp", ".avif"}:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.03)  # twice as many rows on the same paper
    found = contents(tmp_path / f"out{target}")
    assert found[0x010E] == "a description"
    assert found[0x0110] == "a camera"
    assert found[0x927C] == NOTES
    assert found[0x829A] == 0.01
    assert found["gps", 2] == (47.0, 22.0, 33.5)
    assert (found[0xA002], found[0xA003]) == (20, 24)
    assert found.get(0x0112, 1) == 1


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_files_keep_metadata(tmp_path: Path, suffix: str, dtype: str, channels: int) -> None:
    shape = (12, 20) if channels == 1 else (12, 20, channels)
    pixels = RNG.integers(0, 256, shape).astype(dtype)
    metadata = images.Metadata(
        icc=RGB_PROFILE if channels >= 3 else GRAY_PROFILE,
        exif=exif.bare(exif_block()),
        xmp=XMP % 1,
        dpi=(300.0, 72.0),
        text=(("Title", "Grüße"),) if suffix == ".png" else (),
    )
    images.write(tmp_path / f"x{suffix}", pixels, images.Picture(pixels, metadata))
    back = images.read(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.metadata.icc == metadata.icc
    assert back.metadata.xmp == metadata.xmp
    assert back.metadata.text == metadata.text
    assert back.metadata.dpi == pytest.approx(metadata.dpi, abs=0.02)
    assert back.metadata.exif is not None
    assert NOTES in back.metadata.exif
    assert back.metadata.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
    # Once more from what was read: nothing is lost at the second time either.
    images.write(tmp_path / f"y{suffix}", pixels, back)
    assert images.read(tmp_path / f"y{suffix}").metadata == back.metadata


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".avif"])
def test_orientation_is_applied_and_reset(tmp_path: Path, suffix: str, orientation: int) -> None:
    rows, columns = np.mgrid[:16, :24]
    pixels = np.stack([rows * 15, columns * 10, np.full_like(rows, 90)], -1).astype(np.uint8)
    options = {"quality": 95} if suffix in (".jpg", ".webp", ".avif") else {}
    Image.fromarray(pixels).save(tmp_path / f"x{suffix}", exif=exif_block(orientation), dpi=(300, 150), **options)
    with Image.open(tmp_path / f"x{suffix}") as image:
        seen = np.asarray(ImageOps.exif_transpose(image))
        dpi = image.info.get("dpi")
    picture = images.read(tmp_path / f"x{suffix}")
    np.testing.assert_array_equal(picture.pixels, seen)
    assert picture.pixels.shape[:2] == ((16, 24) if orientation < 5 else (24, 16))
    if dpi is not None:
        assert picture.metadata.dpi == pytest.approx(dpi if orientation < 5 else dpi[::-1])
    images.write(tmp_path / f"y{suffix}", picture.pixels, picture)
    assert images.read(tmp_path / f"y{suffix}").pixels.shape == seen.shape
    assert contents(tmp_path / f"y{suffix}").get(0x0112, 1) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", [None, "lzw"])
def test_orientation_of_16_bit_tiff(tmp_path: Path, orientation: int, compression: str | None) -> None:
    """Pillow and OpenCV turn a TIFF by themselves, OpenCV fails at half of the turns."""
    pixels = RNG.integers(0, 65536, (5, 8, 3), dtype=np.uint16)
    path = tmp_path / "x.tif"
    if compression is None:
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(274, "H", 1, orientation, True)])
    else:
        import cv2

        cv2.imwrite(str(path), pixels[..., ::-1], [cv2.IMWRITE_TIFF_COMPRESSION, 5])
        data = bytearray(path.read_bytes())
        # It writes no orientation; what it says about the planes, which is the default, makes room for one.
        start = data.index(struct.pack("<HHI", 284, 3, 1))
        struct.pack_into("<HHIH", data, start, 284, 3, 1, 1)
        entries = sorted(
            struct.pack("<HHIHH", 274, 3, 1, orientation, 0) if tag[:2] == b"\x1c\x01" else tag
            for tag in _entries(data)
        )
        entries.sort(key=lambda entry: struct.unpack_from("<H", entry)[0])
        place = struct.unpack_from("<I", data, 4)[0] + 2
        data[place : place + 12 * len(entries)] = b"".join(entries)
        path.write_bytes(data)
    gray = Image.fromarray((pixels[..., 0] >> 8).astype(np.uint8))
    gray.getexif()[0x0112] = orientation
    seen = np.asarray(ImageOps.exif_transpose(gray))
    back = images.read(path)
    np.testing.assert_array_equal(back.pixels[..., 0] >> 8, seen)


def _entries(data: bytearray) -> list[bytes]:
    place = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, place)[0]
    return [bytes(data[place + 2 + 12 * n : place + 14 + 12 * n]) for n in range(count)]


def test_orientation_in_xmp_is_reset(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=exif_block(6), xmp=XMP % 6)
    assert images.read(tmp_path / "x.jpg").metadata.xmp == XMP % 1


def test_thumbnail_is_unlinked_only_when_turned() -> None:
    def block(orientation: int) -> bytes:
        first = struct.pack("<HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 26)
        return b"II*\0\x08\0\0\0" + first + struct.pack("<HI", 0, 0)

    assert exif.upright(block(1)) == block(1)
    turned = exif.upright(block(8))
    assert turned[:22] == block(1)[:22]
    assert turned[22:26] == b"\0\0\0\0"


@settings(max_examples=80, deadline=None)
@given(cut=st.integers(8, 400), where=st.integers(8, 300), what=st.binary(min_size=1, max_size=6))
def test_damaged_exif_does_not_spoil_the_picture(
    tmp_path_factory: pytest.TempPathFactory, cut: int, where: int, what: bytes
) -> None:
    block = bytearray(exif_block())
    block[6 + where : 6 + where + len(what)] = what
    folder = tmp_path_factory.mktemp("x")
    Image.fromarray(PIXELS).save(folder / "x.jpg", exif=bytes(block[: 6 + cut]))
    picture = images.read(folder / "x.jpg")
    assert sorted(picture.pixels.shape) == [3, 12, 20]
    for name in ("y.jpg", "y.png", "y.tif"):
        images.write(folder / name, picture.pixels, picture)
        assert images.read(folder / name).pixels.shape == picture.pixels.shape


def test_nothing_is_wrong_with_what_is_written_in_the_eyes_of_tifffile(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=exif_block(), icc_profile=RGB_PROFILE, xmp=XMP % 1)
    picture = images.read(tmp_path / "x.jpg")
    images.write(tmp_path / "y.tif", picture.pixels, picture)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert len(file.pages) == 1
        assert file.pages.first.tags["ExifTag"].value["MakerNote"] == NOTES
    assert [record.message for record in caplog.records] == []


def test_strip_leaves_only_the_profile(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(
        tmp_path / "x.jpg", exif=exif_block(), icc_profile=RGB_PROFILE, dpi=(300, 300), xmp=XMP % 1
    )
    picture = images.read(tmp_path / "x.jpg")
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        images.write(tmp_path / f"y{suffix}", picture.pixels, picture, strip_metadata=True)
        kept = images.read(tmp_path / f"y{suffix}").metadata
        assert kept.icc == RGB_PROFILE
        assert kept.exif is None
        assert kept.xmp is None
        assert kept.dpi is None
        assert b"a camera" not in (tmp_path / f"y{suffix}").read_bytes()


def test_a_profile_of_another_kind_is_dropped(tmp_path: Path) -> None:
    gray = images.Picture(PIXELS[..., 0], images.Metadata(icc=GRAY_PROFILE))
    images.write(tmp_path / "x.png", PIXELS, gray)
    assert images.read(tmp_path / "x.png").metadata.icc is None


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_back_to_inks(tmp_path: Path, suffix: str) -> None:
    rows, columns = np.mgrid[:32, :32]
    inks = np.stack([rows * 4, columns * 4, (rows + columns) * 2, rows * 0 + 30], -1).astype(np.uint8)
    Image.fromarray(inks, "CMYK").save(tmp_path / f"x{suffix}", dpi=(300, 300))
    picture = images.read(tmp_path / f"x{suffix}")
    assert picture.pixels.shape == (32, 32, 3)
    images.write(tmp_path / f"y{suffix}", picture.pixels, picture)
    again = images.read(tmp_path / f"y{suffix}")
    assert again.metadata.mode == "CMYK"
    assert np.abs(again.pixels.astype(int) - picture.pixels).max() <= (1 if suffix == ".tif" else 8)
    with Image.open(tmp_path / f"y{suffix}") as image:
        assert image.mode == "CMYK"
        assert np.asarray(image)[..., 3].min() > 10  # what the inks share is black, not a mixture of colours
    images.write(tmp_path / "y.png", picture.pixels, picture)
    np.testing.assert_array_equal(images.read(tmp_path / "y.png").pixels, picture.pixels)


def black_only_profile() -> bytes:
    """The smallest profile of printing inks: lightness falls with the black ink in equal steps."""

    def table(inputs: int, outputs: int, corners: bytes) -> bytes:
        identity = struct.pack(">9i", *(65536 * int(n % 4 == 0) for n in range(9)))
        ramp = bytes(range(256))
        return b"mft1\0\0\0\0" + bytes([inputs, outputs, 2, 0]) + identity + ramp * inputs + corners + ramp * outputs

    to_lab = table(4, 3, b"".join(bytes([0 if black else 255, 128, 128]) for _ in range(8) for black in (0, 1)))
    to_inks = table(3, 4, b"".join(bytes([0, 0, 0, 0 if light else 255]) for light in (0, 1) for _ in range(4)))
    tags, place, listed = b"", 128 + 4 + 2 * 12, b""
    for name, content in ((b"A2B0", to_lab), (b"B2A0", to_inks)):
        padded = content + bytes(-len(content) % 4)
        listed += name + struct.pack(">II", place + len(tags), len(content))
        tags += padded
    body = struct.pack(">I", 2) + listed + tags
    head = struct.pack(">I4sI4s4s4s12s4s", 128 + len(body), b"", 0x02100000, b"prtr", b"CMYK", b"Lab ", b"", b"acsp")
    white = struct.pack(">3i", round(0.9642 * 65536), 65536, round(0.8249 * 65536))
    return (head.ljust(68, b"\0") + white).ljust(128, b"\0") + body


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_with_a_profile_goes_through_it_both_ways(tmp_path: Path, suffix: str) -> None:
    black = np.repeat(np.arange(0, 256, 4, dtype=np.uint8), 8).reshape(1, -1).repeat(16, 0)
    inks = np.stack([np.zeros_like(black)] * 3 + [black], -1)
    profile = black_only_profile()
    options = {"quality": 100} if suffix == ".jpg" else {}
    Image.fromarray(inks, "CMYK").save(tmp_path / f"x{suffix}", icc_profile=profile, **options)
    picture = images.read(tmp_path / f"x{suffix}")
    assert picture.pixels[0, 256, 0] == pytest.approx(118, abs=4)  # lightness 50; without a profile it were 127
    images.write(tmp_path / f"y{suffix}", picture.pixels, picture, quality=100)
    with Image.open(tmp_path / f"y{suffix}") as image:
        assert image.mode == "CMYK"
        assert image.info["icc_profile"] == profile
        assert np.abs(np.asarray(image).astype(int) - inks).max() <= 4
    images.write(tmp_path / "y.png", picture.pixels, picture)
    assert images.read(tmp_path / "y.png").metadata.icc is None  # the inks' profile would be wrong there
