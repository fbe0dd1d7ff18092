"""What files say besides EXIF and profile: captions, comments, gamma, long XMP, orientation wherever it is told."""

import io
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from nlrn import images
from nlrn.images import photoshop, xmp
from nlrn.images.formats import png

RNG = np.random.default_rng(8)
PIXELS = RNG.integers(0, 256, (12, 20, 3), dtype=np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
RDF = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" %s/></rdf:RDF></x:xmpmeta>'
)


def jpeg(*segments: tuple[int, bytes]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "JPEG", quality=90)
    data = file.getvalue()
    told = b"".join(b"\xff" + bytes([m]) + struct.pack(">H", len(content) + 2) + content for m, content in segments)
    return data[:2] + told + data[2:]


def rewritten(source: Path, target: Path) -> images.Picture:
    picture = images.read(source)
    images.write(target, picture.pixels, picture)
    return images.read(target)


@pytest.mark.parametrize("target", [".jpg", ".tif", ".png"])
@pytest.mark.parametrize("size", [9, 30_000, 200_000])
def test_captions_of_the_press_go_from_jpeg_anywhere(tmp_path: Path, size: int, target: str) -> None:
    """Of any length, with the paths that Photoshop keeps beside them, and without its small picture of old pixels."""
    record = b"\x1c\x02\x78" + struct.pack(">H", 9) + b"a caption" + bytes(size)
    blocks = photoshop.block(0x040C, b"thumbnail") + photoshop.block(0x07D0, b"path one", b"\4name\0")
    blocks += photoshop.block(0x0404, record)
    room = 65_000
    parts = [(0xED, photoshop.SIGNATURE + blocks[n : n + room]) for n in range(0, len(blocks), room)]
    (tmp_path / "x.jpg").write_bytes(jpeg(*parts))
    found = rewritten(tmp_path / "x.jpg", tmp_path / f"y{target}").metadata.photoshop
    assert photoshop.iptc(found) == record
    assert (0x07D0, b"\4name\0", b"path one") in list(photoshop.blocks(found or b""))
    assert b"thumbnail" not in (found or b"")
    if target == ".tif":
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            assert bytes(file.pages.first.tags[33723].value) == record
    back = rewritten(tmp_path / f"y{target}", tmp_path / "z.jpg")
    assert photoshop.iptc(back.metadata.photoshop) == record


@pytest.mark.parametrize("text", ["a comment", "Grüße 写真", "x" * 3000])
@pytest.mark.parametrize("target", [".jpg", ".png", ".gif"])
def test_a_comment_goes_along(tmp_path: Path, target: str, text: str) -> None:
    (tmp_path / "x.jpg").write_bytes(jpeg((0xFE, text.encode())))
    assert rewritten(tmp_path / "x.jpg", tmp_path / f"y{target}").metadata.text == (("Comment", text),)
    assert rewritten(tmp_path / f"y{target}", tmp_path / "z.jpg").metadata.text == (("Comment", text),)


def test_a_comment_in_letters_of_another_kind_is_the_same_bytes(tmp_path: Path) -> None:
    comment = "Grüße".encode("latin-1")
    (tmp_path / "x.jpg").write_bytes(jpeg((0xFE, comment)))
    rewritten(tmp_path / "x.jpg", tmp_path / "y.jpg")
    assert comment in (tmp_path / "y.jpg").read_bytes()
    rewritten(tmp_path / "x.jpg", tmp_path / "y.png")


@pytest.mark.parametrize("size", [100, 65_000, 66_000, 500_000])
@pytest.mark.parametrize("source", [".png", ".tif", ".webp"])
def test_xmp_of_any_length_goes_through_a_jpeg(tmp_path: Path, source: str, size: int) -> None:
    packet = RDF % (b'dc:source="%s"' % (b"x" * size))
    images.write(tmp_path / f"x{source}", PIXELS, images.Picture(PIXELS, images.Metadata(xmp=packet)))
    assert rewritten(tmp_path / f"x{source}", tmp_path / "y.jpg").metadata.xmp == packet
    assert rewritten(tmp_path / "y.jpg", tmp_path / f"z{source}").metadata.xmp == packet


@pytest.mark.parametrize("as_element", [False, True])
def test_an_extension_of_another_program_is_put_into_the_packet(tmp_path: Path, as_element: bool) -> None:
    """As cameras and Lightroom write it: the main packet says something of its own."""
    extension = RDF % b'crs:Long="all of it"'
    name = b"0123456789ABCDEF0123456789abcdef"
    told = b'dc:title="short" xmpNote:HasExtendedXMP="%s"' % name
    packet = RDF % told
    if as_element:
        packet = packet.replace(
            b' xmpNote:HasExtendedXMP="%s"/>' % name,
            b"><xmpNote:HasExtendedXMP>%s</xmpNote:HasExtendedXMP></rdf:Description>" % name,
        )
    half = len(extension) // 2
    parts = [
        xmp.EXTENSION + name.upper() + struct.pack(">II", len(extension), at) + extension[at : at + half + 1]
        for at in (half + 1, 0)
    ]
    strange = xmp.EXTENSION + b"F" * 32 + struct.pack(">II", 5, 0) + b"other"
    segments = [(0xE1, xmp.SIGNATURE + packet), *((0xE1, part) for part in parts), (0xE1, strange)]
    (tmp_path / "x.jpg").write_bytes(jpeg(*segments))
    for target in ("y.jpg", "y.tif", "y.png"):
        found = rewritten(tmp_path / "x.jpg", tmp_path / target).metadata.xmp or b""
        assert b'dc:title="short"' in found
        assert b'crs:Long="all of it"' in found
        assert b"HasExtendedXMP" not in found
        assert found.count(b"</rdf:RDF>") == 1
    (tmp_path / "x.jpg").write_bytes(jpeg(*segments[:2]))  # one half of it is missing
    assert images.read(tmp_path / "x.jpg").metadata.xmp == packet


@pytest.mark.parametrize("form", [b' tiff:Orientation="%d"', b" tiff:Orientation='%d'"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_orientation_that_only_xmp_tells_is_applied_once(
    tmp_path: Path, suffix: str, orientation: int, form: bytes
) -> None:
    packet = RDF % (form % orientation)
    if suffix == ".png":
        info = png.chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet)
        images.write(tmp_path / "x.png", PIXELS)
        data = (tmp_path / "x.png").read_bytes()
        (tmp_path / "x.png").write_bytes(data[:33] + info + data[33:])
    elif suffix == ".tif":
        tags = [(700, "B", len(packet), packet, True)]
        tifffile.imwrite(tmp_path / "x.tif", PIXELS, photometric="rgb", metadata=None, extratags=tags)
    else:
        options = {"lossless": True} if suffix == ".webp" else {"quality": 95}
        Image.fromarray(PIXELS).save(tmp_path / f"x{suffix}", xmp=packet, **options)
    turns = {3: 2, 6: 3, 8: 1}[orientation]
    picture = images.read(tmp_path / f"x{suffix}")
    expected = np.rot90(PIXELS, turns)
    assert picture.pixels.shape == expected.shape
    if suffix != ".jpg":
        np.testing.assert_array_equal(picture.pixels, expected)
    assert xmp.orientation(picture.metadata.xmp) == 1
    assert rewritten(tmp_path / f"x{suffix}", tmp_path / f"y{suffix}").pixels.shape == expected.shape


def test_where_exif_tells_the_orientation_xmp_is_not_asked(tmp_path: Path) -> None:
    block = Image.Exif()
    block[0x0112] = 1
    Image.fromarray(PIXELS).save(tmp_path / "x.jpg", exif=block.tobytes(), xmp=RDF % b'tiff:Orientation="6"')
    assert images.read(tmp_path / "x.jpg").pixels.shape == PIXELS.shape
    tags = [(274, "H", 1, 1, True), (700, "B", 9, RDF % b'tiff:Orientation="6"', True)]
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, photometric="rgb", metadata=None, extratags=tags)
    assert images.read(tmp_path / "x.tif").pixels.shape == PIXELS.shape


def png_with(*told: tuple[bytes, bytes], depth: int = 8) -> bytes:
    raw = PIXELS if depth == 8 else (PIXELS.astype(np.uint16) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in raw)
    head = struct.pack(">IIBBBBB", 20, 12, depth, 2, 0, 0, 0)
    parts = [(b"IHDR", head), *told, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return png.SIGNATURE + b"".join(png.chunk(*part) for part in parts)


CHUNKS = [
    (b"gAMA", struct.pack(">I", 100000)),
    (b"cHRM", struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)),
    (b"sRGB", b"\0"),
    (b"cICP", bytes([9, 16, 0, 1])),
    (b"sBIT", b"\5\6\5"),
    (b"bKGD", struct.pack(">3H", 1, 2, 3)),
    (b"tIME", struct.pack(">H5B", 2020, 1, 2, 3, 4, 5)),
    (b"oFFs", struct.pack(">iiB", 5, -7, 0)),
    (b"pHYs", struct.pack(">IIB", 2, 3, 0)),
]


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("told", CHUNKS, ids=lambda told: told[0].decode())
def test_a_png_keeps_its_other_chunks(tmp_path: Path, told: tuple[bytes, bytes], depth: int) -> None:
    (tmp_path / "x.png").write_bytes(png_with(told, depth=depth))
    picture = rewritten(tmp_path / "x.png", tmp_path / "y.png")
    assert told in list(png.chunks((tmp_path / "y.png").read_bytes()))
    larger = picture.pixels.repeat(2, 0).repeat(2, 1)
    images.write(tmp_path / "z.png", larger, picture)
    found = dict(png.chunks((tmp_path / "z.png").read_bytes()))[told[0]]
    scaled = {b"oFFs": struct.pack(">iiB", 10, -14, 0), b"pHYs": struct.pack(">IIB", 4, 6, 0)}
    assert found == scaled.get(told[0], told[1])


def test_what_was_said_of_other_pixels_is_not_said_of_these(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(png_with(*CHUNKS))
    picture = images.read(tmp_path / "x.png")
    images.write(tmp_path / "y.png", picture.pixels[..., 0], picture)
    found = dict(png.chunks((tmp_path / "y.png").read_bytes()))
    assert not {b"sBIT", b"bKGD"} & set(found)
    assert b"gAMA" in found
    images.write(tmp_path / "z.png", picture.pixels, picture, strip_metadata=True)
    found = dict(png.chunks((tmp_path / "z.png").read_bytes()))
    assert {b"gAMA", b"cHRM", b"sRGB", b"cICP"} <= set(found)
    assert not {b"tIME", b"oFFs", b"pHYs"} & set(found)


@pytest.mark.parametrize("target", [".jpg", ".png", ".tif"])
def test_resolution_without_a_unit_goes_along(tmp_path: Path, target: str) -> None:
    tifffile.imwrite(tmp_path / "x.tif", PIXELS, photometric="rgb", resolution=(10, 20), resolutionunit="NONE")
    found = rewritten(tmp_path / "x.tif", tmp_path / f"y{target}").metadata
    assert found.density == (10, 20)
    assert found.dpi is None
    if target == ".tif":
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            assert int(file.pages.first.tags["ResolutionUnit"].value) == 1


def inks_to_colours_only(damaged: bool = False) -> bytes:
    """The least profile of inks with one table, from CMYK to Lab, and none back."""
    grid = bytearray()
    for n in range(16):
        cyan, magenta, yellow, black = (n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1)
        light = max(0, 255 - 80 * (cyan + magenta + yellow) - 200 * black)
        grid += bytes([light, 128 - 30 * cyan + 40 * magenta, 128 - 30 * cyan + 40 * yellow])
    unit = struct.pack(">9i", *(65536 * int(n % 4 == 0) for n in range(9)))
    table = (
        b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + unit + bytes(range(256)) * 4 + bytes(grid) + bytes(range(256)) * 3
    )
    if damaged:
        table = table[:100]
    table += bytes(-len(table) % 4)
    place = 128 + 4 + 12
    head = struct.pack(
        ">I4sI4s4s4s12s4s", place + len(table), b"", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"", b"acsp"
    )
    white = struct.pack(">3i", 63190, 65536, 54061)
    return (
        (head.ljust(68, b"\0") + white).ljust(128, b"\0")
        + struct.pack(">I4sII", 1, b"A2B0", place, len(table))
        + table
    )


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_inks_whose_profile_does_not_lead_back_become_colours(tmp_path: Path, suffix: str, damaged: bool) -> None:
    inks = np.stack([np.repeat(np.arange(0, 240, 10, dtype=np.uint8)[None], 16, 0)] * 4, -1)
    Image.fromarray(inks, "CMYK").save(tmp_path / f"x{suffix}", icc_profile=inks_to_colours_only(damaged))
    picture = images.read(tmp_path / f"x{suffix}")
    again = rewritten(tmp_path / f"x{suffix}", tmp_path / f"y{suffix}")
    assert again.metadata.mode == "RGB"
    assert again.metadata.icc is None
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 3


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".gif"])
def test_a_picture_that_is_transparent_everywhere_comes_back(tmp_path: Path, suffix: str) -> None:
    pixels = np.dstack([PIXELS, np.zeros(PIXELS.shape[:2], np.uint8)])
    images.write(tmp_path / f"x{suffix}", pixels)
    back = images.read(tmp_path / f"x{suffix}").pixels
    assert not back[..., -1].any()
    if suffix != ".gif":
        np.testing.assert_array_equal(back, pixels)


def test_the_training_loop_gets_what_is_in_the_file(tmp_path: Path) -> None:
    """16-bit colour, which Pillow reads as 8 bits cut off, is rounded; alpha and gray are no surprise."""
    deep = RNG.integers(0, 65536, (5, 6, 3), dtype=np.uint16)
    for name, pixels, expected in (
        ("x.png", deep, (deep / 257).round()),
        ("g.tif", deep[..., 0], np.stack([(deep[..., 0] / 257).round()] * 3, -1)),
        ("a.png", np.dstack([PIXELS, PIXELS[..., 0]]), PIXELS),
    ):
        images.write(tmp_path / name, pixels)
        found = images.read_rgb(tmp_path / name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected)
    images.write(tmp_path / "f.tif", np.zeros((2, 2), np.float32))
    with pytest.raises(images.ImageFileError, match="floating-point"):
        images.read_rgb(tmp_path / "f.tif")


def test_what_can_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    deep, alpha = np.zeros((4, 4, 3), np.uint16), np.zeros((4, 4, 4), np.uint8)
    for name, pixels in (("x.jpg", deep), ("x.jpg", alpha), ("x.xyz", deep), ("x.bmp", alpha), ("x.gif", deep)):
        with pytest.raises(images.ImageFileError) as before:
            images.check_writable(tmp_path / name, [images.Picture(pixels)])
        with pytest.raises(images.ImageFileError) as at_the_end:
            images.write(tmp_path / name, pixels)
        assert str(before.value) == str(at_the_end.value)
    images.check_writable(tmp_path / "x.png", [images.Picture(deep)])
    wide = [images.Picture(np.zeros((2, 9000), np.uint8))]
    images.check_writable(tmp_path / "x.webp", wide)
    with pytest.raises(images.ImageFileError, match="at most 16383"):
        images.check_writable(tmp_path / "x.webp", wide, lambda height, width: (2 * height, 2 * width))
    assert not re.search("x", " ".join(path.name for path in tmp_path.iterdir()))
