"""Formats that are only read, some by an optional package: depth, orientation, profile, and what is refused."""

import io
import struct
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import tifffile
from PIL import Image

from nlrn import images

RNG = np.random.default_rng(7)


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype == "float32":
        return RNG.random(shape, np.float32)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def optional(name: str) -> ModuleType:
    found: ModuleType = pytest.importorskip(name, exc_type=ImportError)
    return found


@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 2), (20, 30, 3), (20, 30, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_jpeg_xl_of_any_depth(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    optional("pillow_jxl")
    codecs = optional("imagecodecs")
    pixels = noise(shape, dtype)
    (tmp_path / "x.jxl").write_bytes(codecs.jpegxl_encode(pixels, lossless=True))
    picture = images.read(tmp_path / "x.jxl")
    assert picture.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.pixels, pixels)


@pytest.mark.parametrize("size", [(8, 8), (256, 256), (1, 700), (300, 200), (64, 36), (9000, 1)])
def test_the_size_of_a_jpeg_xl_is_known_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    optional("pillow_jxl")
    Image.new("RGB", size, "red").save(tmp_path / "x.jxl", lossless=True)
    count = size[0] * size[1]
    with pytest.raises(images.ImageFileError, match="megapixels"):
        images.read(tmp_path / "x.jxl", max_pixels=count - 1)
    assert images.read(tmp_path / "x.jxl", max_pixels=count).pixels.shape == (size[1], size[0], 3)


@pytest.mark.parametrize("orientation", [1, 6])
def test_jpeg_xl_with_exif_and_profile(tmp_path: Path, orientation: int) -> None:
    """Its decoder turns by the head of the file; EXIF is only told."""
    optional("pillow_jxl")
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010E] = "a description"
    pixels = noise((20, 30, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "x.jxl", lossless=True, exif=block.tobytes(), use_container=True)
    picture = images.read(tmp_path / "x.jxl")
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert b"a description" in (picture.metadata.exif or b"")
    assert b"RGB " in (picture.metadata.icc or b"")
    images.write(tmp_path / "y.png", picture.pixels, picture)
    np.testing.assert_array_equal(images.read(tmp_path / "y.png").pixels, pixels)


@pytest.mark.parametrize("shape", [(64, 80), (64, 80, 3), (64, 80, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_jpeg_2000(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    import cv2

    pixels = noise(shape, dtype)
    theirs = pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: shape[2]]]
    done, data = cv2.imencode(".jp2", theirs, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    assert done
    (tmp_path / "x.jp2").write_bytes(data.tobytes())
    picture = images.read(tmp_path / "x.jp2")
    assert picture.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(picture.pixels, pixels)
    for share in (0.01, 0.5):
        (tmp_path / "x.jp2").write_bytes(data.tobytes()[: int(share * len(data))])
        with pytest.raises(images.ImageFileError, match=r"x\.jp2"):
            images.read(tmp_path / "x.jp2")


@pytest.mark.parametrize("names", ["Y", "RGB", "RGBA"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_openexr(tmp_path: Path, dtype: str, names: str) -> None:
    """Linear, above one, and with its premultiplied alpha divided out."""
    exr = optional("OpenEXR")
    pixels = (4 * noise((20, 30, len(names)), "float32")).astype(dtype).astype(np.float32)
    stored = pixels.copy()
    if names == "RGBA":
        pixels[..., 3] = stored[..., 3] = 0.5
        stored[..., :3] = (pixels[..., :3] * 0.5).astype(dtype)
        pixels = np.concatenate([stored[..., :3] * 2, stored[..., 3:]], -1)
    channels = {name: stored[..., n].astype(dtype).copy() for n, name in enumerate(names)}
    file = io.BytesIO()
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, channels).write(file)
    (tmp_path / "x.exr").write_bytes(file.getvalue())
    picture = images.read(tmp_path / "x.exr")
    assert picture.pixels.dtype == np.float32
    np.testing.assert_array_equal(picture.pixels, pixels[..., 0] if names == "Y" else pixels)
    with pytest.raises(images.ImageFileError, match="megapixels"):
        images.read(tmp_path / "x.exr", max_pixels=599)
    for length in (50, 300, len(file.getvalue()) - 40):
        (tmp_path / "x.exr").write_bytes(file.getvalue()[:length])
        with pytest.raises(images.ImageFileError, match=r"x\.exr"):
            images.read(tmp_path / "x.exr")


def test_openexr_with_other_channels_names_them(tmp_path: Path) -> None:
    exr = optional("OpenEXR")
    channels = {name: noise((4, 5), "float32") for name in ("Z", "normal.X")}
    file = io.BytesIO()
    exr.File({"compression": exr.ZIP_COMPRESSION, "type": exr.scanlineimage}, channels).write(file)
    (tmp_path / "x.exr").write_bytes(file.getvalue())
    with pytest.raises(images.ImageFileError, match=r"Z, normal\.X"):
        images.read(tmp_path / "x.exr")


def test_radiance_hdr(tmp_path: Path) -> None:
    import cv2

    pixels = 4 * noise((20, 30, 3), "float32")
    cv2.imwrite(str(tmp_path / "x.hdr"), pixels[..., ::-1])
    picture = images.read(tmp_path / "x.hdr")
    assert picture.pixels.dtype == np.float32
    np.testing.assert_allclose(picture.pixels, pixels, atol=4 / 128)
    with pytest.raises(images.ImageFileError, match="megapixels"):
        images.read(tmp_path / "x.hdr", max_pixels=599)
    data = (tmp_path / "x.hdr").read_bytes()
    (tmp_path / "x.hdr").write_bytes(data[: len(data) // 2])
    with pytest.raises(images.ImageFileError, match=r"x\.hdr"):
        images.read(tmp_path / "x.hdr")


def raw_file(path: Path, orientation: int = 1) -> None:
    """The least DNG that LibRaw develops: a mosaic of 12 bits, its pattern and a matrix."""
    rows, columns = np.mgrid[:64, :96]
    mosaic = (2000 + 1000 * np.sin(rows / 9) * np.cos(columns / 7)).astype(np.uint16)
    matrix = [part for n in range(9) for part in (int(n % 4 == 0), 1)]
    tags = [
        (271, 2, 0, "A maker", True),
        (272, 2, 0, "A camera", True),
        (274, 3, 1, orientation, True),
        (33421, 3, 2, (2, 2), True),
        (33422, 1, 4, bytes([0, 1, 1, 2]), True),
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50708, 2, 0, "A camera", True),
        (50714, 4, 1, 0, True),
        (50717, 4, 1, 4095, True),
        (50721, 10, 9, tuple(matrix), True),
        (50728, 5, 3, (1, 1) * 3, True),
        (50778, 3, 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, compression=None, metadata=None, software=False, extratags=tags)


@pytest.mark.parametrize("orientation", [1, 6])
def test_camera_raw_is_developed_to_16_bits(tmp_path: Path, orientation: int) -> None:
    optional("rawpy")
    raw_file(tmp_path / "x.dng", orientation)
    picture = images.read(tmp_path / "x.dng")
    assert picture.pixels.dtype == np.uint16
    assert picture.pixels.shape == ((64, 96, 3) if orientation == 1 else (96, 64, 3))
    assert len(np.unique(picture.pixels)) > 1000
    assert picture.metadata.format == "RAW"
    assert b"A camera" in (picture.metadata.exif or b"")
    target = tmp_path / f"y{images.writable_ending('.dng')}"
    images.write(target, picture.pixels, picture)
    np.testing.assert_array_equal(images.read(target).pixels, picture.pixels)
    with pytest.raises(images.ImageFileError, match="megapixels"):
        images.read(tmp_path / "x.dng", max_pixels=6143)
    (tmp_path / "x.dng").write_bytes((tmp_path / "x.dng").read_bytes()[:3000])
    with pytest.raises(images.ImageFileError, match=r"x\.dng"):
        images.read(tmp_path / "x.dng")


def test_a_jpeg_named_as_a_raw_file_is_told_by_its_name(tmp_path: Path) -> None:
    images.write(tmp_path / "x.jpg", noise((8, 9, 3), "uint8"))
    (tmp_path / "x.jpg").rename(tmp_path / "x.nef")
    with pytest.raises(images.ImageFileError, match=r"in truth a JPEG file: rename it to x\.jpg"):
        images.read(tmp_path / "x.nef")


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize("suffix", [".avif", ".heic"])
def test_more_than_8_bits_are_read_as_16(tmp_path: Path, suffix: str, bits: int) -> None:
    rows, columns = np.mgrid[:48, :64]
    levels = np.stack([rows * 17, columns * 13, (rows + columns) * 9], -1) * 2 ** (bits - 10)
    if suffix == ".avif":
        import cv2

        options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
        done, data = cv2.imencode(".avif", levels[..., ::-1].astype(np.uint16), options)
        assert done
        (tmp_path / "x.avif").write_bytes(data.tobytes())
    else:
        plugin = optional("pillow_heif")
        if bits == 12:
            pytest.skip("the encoder that is at hand writes 10")
        stored = (levels * 2 ** (16 - bits)).astype(np.uint16).tobytes()
        plugin.from_bytes(mode="RGB;16", size=(64, 48), data=stored).save(tmp_path / "x.heic", quality=-1, chroma=444)
    picture = images.read(tmp_path / f"x{suffix}")
    assert picture.pixels.dtype == np.uint16
    off = np.abs(picture.pixels.astype(float) - levels * (65535 / (2**bits - 1)))
    assert off.mean() < 200
    assert off.max() < 2000


@pytest.mark.parametrize(
    ("suffix", "ending"), [(".pbm", ".pgm"), (".exr", ".tif"), (".jxl", ".png"), (".jpg", ".jpg")]
)
def test_results_of_formats_that_are_only_read_have_another_ending(suffix: str, ending: str) -> None:
    assert images.writable_ending(suffix) == ending
    assert ending in images.WRITABLE


def test_boxes_that_are_cut_off_are_no_trap(tmp_path: Path) -> None:
    """A JPEG XL container whose boxes claim all sizes."""
    optional("pillow_jxl")
    head = b"\0\0\0\x0cJXL \r\n\x87\n"
    for size in (0, 1, 2, 7, 8, 2**31, 2**32 - 1):
        (tmp_path / "x.jxl").write_bytes(head + struct.pack(">I4s", size, b"jxlc") + bytes(9))
        with pytest.raises(images.ImageFileError, match=r"x\.jxl"):
            images.read(tmp_path / "x.jxl")


def test_decoders_are_loaded_when_there_is_something_for_them() -> None:
    heavy = "cv2", "tifffile", "pillow_heif", "pillow_jxl", "imagecodecs", "rawpy", "OpenEXR", "torch"
    code = f"import sys, nlrn.images; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"
