"""Every format, mode and depth goes in and out again unchanged, seen by other libraries than ours."""

import io
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nlrn import images
from nlrn.images import writing

Array = npt.NDArray[np.generic]


@pytest.fixture(autouse=True, scope="module")
def _no_wait_for_the_disk() -> Iterator[None]:
    """A thousand files a run, none of which has to survive a power cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing.os, "fsync", lambda handle: None)
        yield


def noise(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    if dtype == "float32":
        return rng.normal(0.5, 2, shape).astype(np.float32)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def smooth(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Something that a lossy format keeps well, in 8 bits."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    planes = [128 + 100 * np.sin((rows + seed) / (9 + k) + columns / (13 - k)) for k in range(4)]
    return np.stack(planes, -1).round().astype(np.uint8).reshape(shape[0], shape[1], 4)[..., : shape[2]]


LOSSLESS = [
    *((".png", d, c) for d in ("uint8", "uint16") for c in (1, 2, 3, 4)),
    *((".tif", d, c) for d in ("uint8", "uint16", "float32") for c in (1, 2, 3, 4)),
    *((".bmp", "uint8", c) for c in (1, 3)),
    *((".pgm", d, 1) for d in ("uint8", "uint16")),
    *((".ppm", d, 3) for d in ("uint8", "uint16")),
    *((".webp", "uint8", c) for c in (3, 4)),
]


@pytest.mark.parametrize(("suffix", "dtype", "channels"), LOSSLESS)
@settings(max_examples=8, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_lossless_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    dtype: str,
    channels: int,
    height: int,
    width: int,
    seed: int,
) -> None:
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = noise(shape, dtype, seed)
    path = tmp_path_factory.mktemp("x") / f"x{suffix}"
    images.write(path, pixels)
    back = images.read(path).pixels
    assert back.dtype == pixels.dtype
    np.testing.assert_array_equal(back, pixels)


def test_a_row_of_filters_and_many_strips(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:700, :900]
    pixels = np.stack([rows * 90, columns * 70, rows * columns % 65536], -1).astype(np.uint16)
    pixels[100:300] = noise((200, 900, 3), "uint16")
    pixels[300:350] = 7
    for suffix in (".png", ".tif"):
        images.write(tmp_path / f"x{suffix}", pixels)
        np.testing.assert_array_equal(images.read(tmp_path / f"x{suffix}").pixels, pixels)
    with tifffile.TiffFile(tmp_path / "x.tif") as file:
        assert len(file.pages.first.dataoffsets) > 1
    np.testing.assert_array_equal(cv2.imread(str(tmp_path / "x.png"), cv2.IMREAD_UNCHANGED)[..., ::-1], pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_other_libraries_read_what_is_written(tmp_path: Path, suffix: str, channels: int) -> None:
    shape = (21, 34) if channels == 1 else (21, 34, channels)
    path = tmp_path / f"x{suffix}"
    pixels = noise(shape, "uint8")
    images.write(path, pixels)
    with Image.open(path) as image:
        assert image.mode == ("L", "LA", "RGB", "RGBA")[channels - 1]
        np.testing.assert_array_equal(np.asarray(image), pixels)
    if suffix == ".tif":
        for dtype in ("uint16", "float32"):
            pixels = noise(shape, dtype)
            images.write(path, pixels)
            np.testing.assert_array_equal(tifffile.imread(path), pixels)
            if channels != 2:
                theirs = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
                np.testing.assert_array_equal(
                    theirs if channels == 1 else theirs[..., [2, 1, 0, 3][:channels]], pixels
                )


@pytest.mark.parametrize(
    ("suffix", "channels"),
    [(".jpg", 1), (".jpg", 3), *((suffix, c) for suffix in (".webp", ".avif") for c in (1, 3, 4))],
)
def test_lossy_formats_stay_close(tmp_path: Path, suffix: str, channels: int) -> None:
    pixels = smooth((60, 70, channels)) if channels > 1 else smooth((60, 70, 1))[..., 0]
    path = tmp_path / f"x{suffix}"
    images.write(path, pixels, quality=95)
    picture = images.read(path)
    back = picture.pixels[..., 0] if channels == 1 and picture.pixels.ndim == 3 else picture.pixels
    assert back.shape == pixels.shape
    assert not picture.metadata.lossless
    assert np.abs(back.astype(float) - pixels).mean() < 2
    small = path.stat().st_size
    images.write(path, pixels, quality=30)
    assert path.stat().st_size < small


def test_jpeg_keeps_colour_at_full_resolution(tmp_path: Path) -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:, ::2, 0] = 255
    images.write(tmp_path / "x.jpg", pixels)
    back = images.read(tmp_path / "x.jpg").pixels.astype(float)
    assert back[:, ::2, 0].mean() - back[:, 1::2, 0].mean() > 240


def test_lossless_webp_stays_lossless(tmp_path: Path) -> None:
    pixels = noise((20, 30, 3), "uint8")
    Image.fromarray(pixels).save(tmp_path / "x.webp", lossless=True)
    picture = images.read(tmp_path / "x.webp")
    assert picture.metadata.lossless
    images.write(tmp_path / "y.webp", picture.pixels, picture)
    np.testing.assert_array_equal(images.read(tmp_path / "y.webp").pixels, pixels)


@pytest.mark.parametrize(
    ("mode", "suffix", "shape"),
    [
        ("1", ".png", (9, 12)),
        ("1", ".tif", (9, 12)),
        ("1", ".bmp", (9, 12)),
        ("1", ".pbm", (9, 12)),
        ("L", ".jpg", (9, 12)),
        ("LA", ".tif", (9, 12, 2)),
        ("P", ".png", (9, 12, 3)),
        ("P", ".tif", (9, 12, 3)),
        ("P", ".bmp", (9, 12, 3)),
        ("RGBA", ".webp", (9, 12, 4)),
        ("CMYK", ".jpg", (9, 12, 3)),
        ("CMYK", ".tif", (9, 12, 3)),
        ("YCbCr", ".tif", (9, 12, 3)),
    ],
)
def test_modes_of_pillow(tmp_path: Path, mode: str, suffix: str, shape: tuple[int, ...]) -> None:
    original = Image.fromarray(smooth((9, 12, 4 if mode.endswith("A") else 3))).convert(mode)
    original.save(tmp_path / f"x{suffix}")
    try:
        with Image.open(tmp_path / f"x{suffix}") as image:
            seen = image.convert({1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[1 if len(shape) == 2 else shape[2]])
    except OSError:
        pytest.skip("this Pillow cannot read what it wrote itself")  # 12.3 and a TIFF of YCbCr
    picture = images.read(tmp_path / f"x{suffix}")
    assert picture.pixels.shape == shape
    assert picture.metadata.mode == mode
    np.testing.assert_array_equal(picture.pixels, np.asarray(seen))


def test_transparent_palette_and_transparent_colour(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16), "L").convert("P")
    image.save(tmp_path / "p.png", transparency=bytes(range(256)))
    picture = images.read(tmp_path / "p.png")
    np.testing.assert_array_equal(picture.pixels[..., 3].ravel(), np.arange(256))
    for mode, key, shape in (("L", 3, (16, 16, 2)), ("RGB", (3, 3, 3), (16, 16, 4))):
        image.convert("L").convert(mode).save(tmp_path / "k.png", transparency=key)
        pixels = images.read(tmp_path / "k.png").pixels
        assert pixels.shape == shape
        assert (pixels[..., -1] == np.where(pixels[..., 0] == 3, 0, 255)).all()


def test_palette_of_grays_is_gray(tmp_path: Path) -> None:
    image = Image.fromarray(noise((8, 8), "uint8"), "L")
    image.convert("P").save(tmp_path / "x.png")
    np.testing.assert_array_equal(images.read(tmp_path / "x.png").pixels, np.asarray(image))


def test_16_bit_transparent_colour(tmp_path: Path) -> None:
    """A 16-bit gray level that PNG declares transparent."""
    pixels = noise((6, 7), "uint16")
    images.write(tmp_path / "x.png", pixels)
    data = (tmp_path / "x.png").read_bytes()
    from nlrn.images.formats import png

    parts = list(png.chunks(data))
    parts.insert(1, (b"tRNS", int(pixels[2, 3]).to_bytes(2, "big")))
    (tmp_path / "x.png").write_bytes(png.SIGNATURE + b"".join(png.chunk(*part) for part in parts))
    back = images.read(tmp_path / "x.png").pixels
    np.testing.assert_array_equal(back[..., 0], pixels)
    np.testing.assert_array_equal(back[..., 1] == 0, pixels == pixels[2, 3])


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_dark_16_bit_stays_16_bit(tmp_path: Path, suffix: str) -> None:
    pixels = noise((20, 30), "uint16") % 200
    images.write(tmp_path / f"x{suffix}", pixels)
    back = images.read(tmp_path / f"x{suffix}").pixels
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("shape", [(19, 23), (19, 23, 3), (19, 23, 4)])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_lzw_tiff(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    pixels = noise(shape, dtype)
    theirs = pixels if len(shape) == 2 else pixels[..., [2, 1, 0, 3][: shape[2]]]
    cv2.imwrite(str(tmp_path / "x.tif"), theirs, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    back = images.read(tmp_path / "x.tif").pixels
    assert back.dtype == pixels.dtype
    np.testing.assert_array_equal(back, pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize(("order", "large"), [("<", False), (">", False), ("<", True)])
def test_tiff_layouts(tmp_path: Path, dtype: str, order: str, planar: str, large: bool) -> None:
    pixels = noise((33, 40, 3), dtype)
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels if planar == "contig" else np.moveaxis(pixels, -1, 0),
        photometric="rgb",
        planarconfig=planar,
        byteorder=order,
        bigtiff=large,
        tile=(16, 16),
        compression="zlib",
    )
    np.testing.assert_array_equal(images.read(tmp_path / "x.tif").pixels, pixels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_negative_is_turned_round(tmp_path: Path, dtype: str) -> None:
    pixels = noise((5, 6), dtype)
    tifffile.imwrite(tmp_path / "x.tif", pixels, photometric="miniswhite")
    np.testing.assert_array_equal(images.read(tmp_path / "x.tif").pixels, np.iinfo(dtype).max - pixels)


def test_tiff_premultiplied_alpha_is_divided_out(tmp_path: Path) -> None:
    straight = np.zeros((2, 2, 4), np.float32)
    straight[..., :3] = 0.8
    straight[..., 3] = [[0.0, 0.25], [0.5, 1.0]]
    stored = straight.copy()
    stored[..., :3] *= straight[..., 3:]
    for dtype, scale in (("float32", 1.0), ("uint16", 65535.0)):
        tifffile.imwrite(
            tmp_path / "x.tif", (stored * scale).astype(dtype), photometric="rgb", extrasamples=["assocalpha"]
        )
        back = images.read(tmp_path / "x.tif").pixels / scale
        seen = straight[..., 3] > 0
        np.testing.assert_allclose(back[seen], straight[seen], atol=1e-4)


@pytest.mark.parametrize(("dtype", "value"), [("float16", 0.5), ("float64", 0.1)])
def test_other_floats_become_float32(tmp_path: Path, dtype: str, value: float) -> None:
    tifffile.imwrite(tmp_path / "x.tif", np.full((3, 4), value, dtype))
    back = images.read(tmp_path / "x.tif").pixels
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, np.float32(value))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"P1\n# note\n3 2\n1 0 1\n010", [[0, 255, 0], [255, 0, 255]]),
        (b"P2 3 1 15\n0 5 15\n", [[0, 85, 255]]),
        (b"P2\n2 1\n1023\n0 1023\n", [[0, 65535]]),
        (b"P3 1 1 255 1 2 3", [[[1, 2, 3]]]),
        (b"P4 3 2\n\xa0\x40", [[0, 255, 0], [255, 0, 255]]),
        (b"P5 2 1 #c\n255\n\x0a\x20", [[10, 32]]),
        (b"P5 1 1 4095\n\x0f\xff", [[65535]]),
    ],
)
def test_pnm_dialects(tmp_path: Path, text: bytes, expected: list[object]) -> None:
    (tmp_path / "x.pnm").write_bytes(text)
    back = images.read(tmp_path / "x.pnm").pixels
    np.testing.assert_array_equal(back, np.array(expected))


def test_gray_in_a_colour_only_format(tmp_path: Path) -> None:
    pixels = noise((5, 6), "uint8")
    for name in ("x.ppm", "x.webp"):
        images.write(tmp_path / name, pixels)
        np.testing.assert_array_equal(images.read(tmp_path / name).pixels, np.stack([pixels] * 3, -1))


def test_first_picture_of_a_camera_file_with_two(tmp_path: Path) -> None:
    first, second = (Image.fromarray(smooth((20, 30, 3), seed)) for seed in (0, 40))
    first.save(tmp_path / "x.mpo", format="MPO", save_all=True, append_images=[second], quality=95)
    (tmp_path / "x.mpo").rename(tmp_path / "x.jpg")
    plain = io.BytesIO()
    first.save(plain, "JPEG", quality=95)
    with Image.open(plain) as image:
        np.testing.assert_array_equal(images.read(tmp_path / "x.jpg").pixels, np.asarray(image))


def test_views_and_foreign_byte_order(tmp_path: Path) -> None:
    pixels = noise((20, 30, 3), "uint16")
    for given_pixels in (pixels[::2, ::-3], pixels.astype(">u2"), pixels[..., :1]):
        images.write(tmp_path / "x.png", given_pixels)
        np.testing.assert_array_equal(images.read(tmp_path / "x.png").pixels, given_pixels.squeeze())
