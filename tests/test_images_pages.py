"""Files of several pages, and those that an optional package reads: every page and every fact comes back."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, ImageSequence

from nlrn import images

RNG = np.random.default_rng(4)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def noise(shape: tuple[int, ...], dtype: str) -> npt.NDArray[np.generic]:
    if dtype == "float32":
        return RNG.normal(0.5, 1, shape).astype(np.float32)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def described(text: str, orientation: int = 1) -> Image.Exif:
    block = Image.Exif()
    block[0x010E] = text
    block[0x0112] = orientation
    block.get_ifd(0x8769).update({0x829A: 0.01})
    return block


@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_of_every_kind_go_in_and_out(tmp_path: Path, order: str) -> None:
    """Gray, alpha and colour, 8 and 16 bit and float, of different sizes, in one file."""
    pages = [
        noise((9, 12), "uint8"),
        noise((12, 9, 3), "uint16"),
        noise((7, 8, 4), "uint8"),
        noise((5, 6), "float32"),
        noise((9, 12, 2), "uint16"),
    ]
    with tifffile.TiffWriter(tmp_path / "x.tif", byteorder=order) as file:
        for number, page in enumerate(pages):
            channels = 1 if page.ndim == 2 else page.shape[2]
            file.write(
                page,
                photometric="rgb" if channels > 2 else "minisblack",
                extrasamples=["unassalpha"] if channels in (2, 4) else None,
                description=f"page {number}",
                resolution=(300 + number, 200),
                metadata=None,
            )
    found = images.read_pages(tmp_path / "x.tif")
    images.write_pages(tmp_path / "y.tif", found)
    again = images.read_pages(tmp_path / "y.tif")
    for picture, other, page in zip(found, again, pages, strict=True):
        assert other.pixels.dtype == page.dtype
        np.testing.assert_array_equal(other.pixels, page)
        assert other.metadata.dpi == pytest.approx(picture.metadata.dpi)
        assert other.metadata.mode == picture.metadata.mode
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.byteorder == order
        assert [page.description for page in file.pages] == [f"page {number}" for number in range(5)]
        for page, pixels in zip(file.pages, pages, strict=True):
            np.testing.assert_array_equal(page.asarray(), pixels)


def test_each_page_keeps_its_own_exif_and_orientation(tmp_path: Path) -> None:
    """Folders of EXIF move with their page."""
    pages = [Image.fromarray(noise((6, 9, 3), "uint8")) for _ in range(3)]
    for number, orientation in ((1, 1), (2, 3)):
        pages[number].encoderinfo = {"exif": described(f"page {number}", orientation).tobytes()}
    pages[0].save(tmp_path / "x.tif", save_all=True, append_images=pages[1:], exif=described("page 0", 6).tobytes())
    found = images.read_pages(tmp_path / "x.tif")
    assert [page.pixels.shape for page in found] == [(9, 6, 3), (6, 9, 3), (6, 9, 3)]
    np.testing.assert_array_equal(found[2].pixels, np.asarray(pages[2])[::-1, ::-1])
    images.write_pages(tmp_path / "y.tif", found)
    with Image.open(tmp_path / "y.tif") as file:
        for number, page in enumerate(ImageSequence.Iterator(file)):
            np.testing.assert_array_equal(np.asarray(page), found[number].pixels)
            block = page.getexif()
            assert block[0x010E] == f"page {number}"
            assert block[0x0112] == 1
            assert float(block.get_ifd(0x8769)[0x829A]) == 0.01
    images.write_pages(tmp_path / "z.tif", found, strip_metadata=True)
    assert b"page" not in (tmp_path / "z.tif").read_bytes()


def test_a_page_without_a_profile_is_given_none(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for profile in (PROFILE, None, PROFILE):
            file.write(noise((6, 7, 3), "uint8"), photometric="rgb", iccprofile=profile, metadata=None)
    found = images.read_pages(tmp_path / "x.tif")
    images.write_pages(tmp_path / "y.tif", found)
    for page in (found, images.read_pages(tmp_path / "y.tif")):
        assert [one.metadata.icc for one in page] == [PROFILE, None, PROFILE]


def test_a_compressed_stack_that_only_opencv_decodes(tmp_path: Path) -> None:
    pages = [noise((10, 14), "uint16") for _ in range(3)]
    cv2.imwritemulti(str(tmp_path / "x.tif"), pages, [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    for found, page in zip(images.read_pages(tmp_path / "x.tif"), pages, strict=True):
        np.testing.assert_array_equal(found.pixels, page)


def test_a_page_that_is_damaged_or_one_too_many_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "x.tif", noise((3, 64, 64), "uint16"), photometric="minisblack")
    data = (tmp_path / "x.tif").read_bytes()
    for cut in (200, 1000, 20000):  # some of these leave the first page whole
        (tmp_path / "x.tif").write_bytes(data[:-cut])
        with pytest.raises(images.ImageFileError, match=r"x\.tif"):
            images.read_pages(tmp_path / "x.tif")
    tifffile.imwrite(
        tmp_path / "v.tif", noise((4, 32, 32), "uint8"), volumetric=True, tile=(4, 32, 32), photometric="minisblack"
    )
    with pytest.raises(images.ImageFileError, match="volume"):
        images.read_pages(tmp_path / "v.tif")


def test_a_file_of_another_kind_has_one_page(tmp_path: Path) -> None:
    pixels = noise((4, 5), "uint8")
    images.write(tmp_path / "x.png", pixels)
    (only,) = images.read_pages(tmp_path / "x.png")
    np.testing.assert_array_equal(only.pixels, pixels)


@pytest.mark.parametrize("quality", [75, 95, 97, 98, 100])
def test_a_clean_jpeg_comes_back_as_fine_as_it_was(tmp_path: Path, quality: int) -> None:
    """Above 45 dB; a fixed quality of 95 would be 41 for the finer ones."""
    rows, columns = np.mgrid[:128, :128]
    grain = RNG.normal(0, 6, (128, 128, 3))
    pixels = 128 + 60 * np.sin(rows / 11)[..., None] + 40 * np.cos(columns / 7)[..., None] + grain
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "x.jpg", quality=quality, subsampling=0)
    picture = images.read(tmp_path / "x.jpg")
    images.write(tmp_path / "y.jpg", picture.pixels, picture)
    difference = images.read(tmp_path / "y.jpg").pixels.astype(float) - picture.pixels
    assert 10 * np.log10(255**2 / np.square(difference).mean()) > 45
    assert images.read(tmp_path / "y.jpg").metadata.quality == picture.metadata.quality
    assert (picture.metadata.quality or 95) == max(quality, 95)


@pytest.mark.parametrize("shape", [(24, 40), (24, 40, 3), (24, 40, 4)])
def test_heic_keeps_what_it_can(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pytest.importorskip("pillow_heif", exc_type=ImportError)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    planes = [128 + 100 * np.sin(rows / (9 + k) + columns / (13 - k)) for k in range(4)]
    pixels = np.stack(planes, -1).round().astype(np.uint8)[..., : shape[2] if len(shape) == 3 else 1].reshape(shape)
    like = images.Picture(pixels, images.Metadata(icc=PROFILE, exif=described("a picture").tobytes()[6:]))
    images.write(tmp_path / "x.heic", pixels, like)
    back = images.read(tmp_path / "x.heic")
    assert back.metadata.format == "HEIF"
    seen = back.pixels[..., 0] if len(shape) == 2 and back.pixels.ndim == 3 else back.pixels
    assert seen.shape == shape
    assert np.abs(seen.astype(float) - pixels).mean() < 2
    assert back.metadata.exif is not None
    assert b"a picture" in back.metadata.exif
    if len(shape) == 3:
        assert back.metadata.icc == PROFILE
    images.write(tmp_path / "y.heic", back.pixels, back, strip_metadata=True)
    assert images.read(tmp_path / "y.heic").metadata.exif is None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_set_upright_once(tmp_path: Path, orientation: int) -> None:
    """Its decoder turns the picture by itself and says so in the EXIF block."""
    plugin = pytest.importorskip("pillow_heif", exc_type=ImportError)
    rows, columns = np.mgrid[:32, :48]
    image = Image.fromarray(np.stack([rows * 7, columns * 5, rows * 0 + 90], -1).astype(np.uint8))
    block = described("turned", orientation)
    plugin.from_pillow(image).save(tmp_path / "x.heic", exif=block.tobytes(), quality=-1, chroma=444)
    image.getexif()[0x0112] = orientation
    back = images.read(tmp_path / "x.heic")
    seen = np.asarray(ImageOps.exif_transpose(image))
    assert back.pixels.shape == seen.shape
    assert np.abs(back.pixels.astype(int) - seen).max() <= 3
    images.write(tmp_path / "y.png", back.pixels, back)
    np.testing.assert_array_equal(images.read(tmp_path / "y.png").pixels, back.pixels)
