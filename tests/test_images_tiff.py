"""TIFF of every kind: big and small, packed, in one directory, with channels of other kinds; what it says follows."""

import itertools
import json
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from nlrn import images
from nlrn.images.formats import tiff_writing

RNG = np.random.default_rng(5)
Array = npt.NDArray[np.generic]


def noise(shape: tuple[int, ...], dtype: str) -> Array:
    if dtype == "float32":
        return RNG.random(shape, np.float32)
    return RNG.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_a_big_tiff_is_read_as_a_small_one(tmp_path: Path, big: bool, order: str, dtype: str, channels: int) -> None:
    """Pixels, orientation, caption and EXIF, whatever the byte order."""
    pixels = noise((6, 9) if channels == 1 else (6, 9, channels), dtype)
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels,
        bigtiff=big,
        byteorder=order,
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        description="a caption",
        datetime="2020:01:02 03:04:05",
        metadata=None,
        extratags=[(274, "H", 1, 6, True)],
    )
    picture = images.read(tmp_path / "x.tif")
    np.testing.assert_array_equal(picture.pixels, np.rot90(pixels, -1))
    images.write(tmp_path / "y.tif", picture.pixels, picture)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        page = file.pages.first
        np.testing.assert_array_equal(page.asarray(), np.rot90(pixels, -1))
        assert page.tags["ImageDescription"].value == "a caption"
        assert page.tags["DateTime"].value == "2020:01:02 03:04:05"
        assert page.tags["Orientation"].value == 1


def test_above_4_gb_a_big_tiff_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of EXIF are taken along into the other form."""
    block = Image.Exif()
    block[0x010E] = "a caption"
    block.get_ifd(0x8769).update({0x829A: 0.01, 0x9286: b"a long comment of the camera"})
    pixels = noise((20, 30, 3), "uint16")
    Image.fromarray((pixels >> 8).astype(np.uint8)).save(tmp_path / "x.jpg", exif=block.tobytes())
    like = images.read(tmp_path / "x.jpg")
    monkeypatch.setattr(tiff_writing, "_MAX_CLASSIC", 100)
    images.write(tmp_path / "y.tif", pixels, like)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.is_bigtiff
        np.testing.assert_array_equal(file.pages.first.asarray(), pixels)
        assert file.pages.first.tags["ImageDescription"].value == "a caption"
        folder = file.pages.first.tags["ExifTag"].value
        assert folder["ExposureTime"] in (0.01, (1, 100))
        assert bytes(folder["UserComment"]) in (b"a long comment of the camera", b"ng comment of the camera")
    again = images.read(tmp_path / "y.tif")
    np.testing.assert_array_equal(again.pixels, pixels)
    assert b"a long comment of the camera" in (again.metadata.exif or b"")


@pytest.mark.parametrize("width", [32, 33])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_samples_are_stretched(tmp_path: Path, bits: int, channels: int, width: int) -> None:
    stored = RNG.integers(0, 2**bits, (12, width * channels))
    digits = (stored[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    packed = b"".join(np.packbits(row.astype(np.uint8).ravel()).tobytes() for row in digits)
    values = [(256, 4, width), (257, 4, 12), (258, 3, bits), (259, 3, 1), (262, 3, 2 if channels == 3 else 1)]
    place = 8 + 2 + 12 * 9 + 4
    values += [(273, 4, place + 6), (277, 3, channels), (278, 4, 12), (279, 4, len(packed))]
    if channels == 3:
        values[2] = (258, 3, place)
    entries = b"".join(
        struct.pack("<HHII", tag, kind, 3, value)
        if tag == 258 and channels == 3
        else struct.pack("<HHI", tag, kind, 1)
        + (struct.pack("<Hxx", value) if kind == 3 else struct.pack("<I", value))
        for tag, kind, value in values
    )
    head = b"II*\0" + struct.pack("<IH", 8, 9) + entries + bytes(4) + struct.pack("<HHH", bits, bits, bits)
    (tmp_path / "x.tif").write_bytes(head + packed)
    found = images.read(tmp_path / "x.tif").pixels
    assert found.dtype == np.uint16
    np.testing.assert_allclose(found.reshape(12, -1), stored * (65535 / (2**bits - 1)), atol=0.51)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("colours", [1, 3])
def test_all_planes_behind_one_directory_are_read(tmp_path: Path, dtype: str, colours: int) -> None:
    stack = noise((5, 12, 16) if colours == 1 else (5, 12, 16, 3), dtype)
    tifffile.imwrite(tmp_path / "x.tif", stack, truncate=True, photometric="minisblack" if colours == 1 else "rgb")
    found = images.read_pages(tmp_path / "x.tif")
    np.testing.assert_array_equal(np.stack([page.pixels for page in found]), stack)
    images.write_pages(tmp_path / "y.tif", found)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "y.tif"), stack)
    with pytest.raises(images.ImageFileError, match="several pages"):
        images.read(tmp_path / "x.tif")
    (tmp_path / "x.tif").write_bytes((tmp_path / "x.tif").read_bytes()[:-1])
    with pytest.raises(images.ImageFileError, match="ends early"):
        images.read_pages(tmp_path / "x.tif")


def test_planes_behind_one_directory_of_several_are_refused(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "x.tif") as file:
        for _ in range(2):
            file.write(noise((3, 8, 9), "uint8"), photometric="minisblack", truncate=True)
    with pytest.raises(images.ImageFileError, match="behind one directory"):
        images.read_pages(tmp_path / "x.tif")


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("colours", "others"), [(3, [0]), (3, [2, 0]), (3, [0, 0]), (1, [0])], ids=["NIR", "alpha+NIR", "two", "gray"]
)
def test_channels_that_are_no_alpha_are_pictures_of_their_own(
    tmp_path: Path, dtype: str, colours: int, others: list[int]
) -> None:
    """Near infrared is restored as a gray picture, and is what it was in the result."""
    pixels = noise((8, 11, colours + len(others)), dtype)
    tifffile.imwrite(
        tmp_path / "x.tif",
        pixels,
        photometric="rgb" if colours == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=others,
        metadata=None,
        extratags=[(274, "H", 1, 6, True)],
    )
    found = images.read_pages(tmp_path / "x.tif")
    assert [page.metadata.extra for page in found] == [False] + [True] * others.count(0)
    for number, page in enumerate(found[1:]):
        np.testing.assert_array_equal(page.pixels, np.rot90(pixels[..., number - others.count(0)], -1))
    images.write_pages(tmp_path / "y.tif", found)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert list(file.pages.first.extrasamples) == others
        np.testing.assert_array_equal(file.pages.first.asarray(), np.rot90(pixels, -1))
    with pytest.raises(images.ImageFileError, match=r"no channel beside colour and alpha, \.tif does"):
        images.write_pages(
            tmp_path / "y.png", [images.Picture((page.pixels * 0).astype(np.uint8), page.metadata) for page in found]
        )
    if pixels.shape[2] <= 4 and others in ([0],):
        whole = images.read(tmp_path / "x.tif")
        np.testing.assert_array_equal(whole.pixels, np.rot90(pixels, -1))
        images.write(tmp_path / "z.tif", whole.pixels, whole)
        with tifffile.TiffFile(tmp_path / "z.tif") as file:
            assert list(file.pages.first.extrasamples) == others


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("colours", [1, 3])
def test_premultiplied_alpha_of_any_depth_is_divided_out(tmp_path: Path, dtype: str, colours: int) -> None:
    white = 1.0 if dtype == "float32" else float(np.iinfo(dtype).max)
    straight = np.full((2, 2, colours + 1), 0.8)
    straight[..., -1] = [[0.0, 0.25], [0.5, 1.0]]
    stored = straight.copy()
    stored[..., :-1] *= straight[..., -1:]
    tifffile.imwrite(
        tmp_path / "x.tif",
        (stored * white).round(6).astype(dtype),
        photometric="rgb" if colours == 3 else "minisblack",
        planarconfig="contig",
        extrasamples=["assocalpha"],
    )
    back = images.read(tmp_path / "x.tif").pixels / white
    seen = straight[..., -1] > 0
    np.testing.assert_allclose(back[seen], straight[seen], atol=0.02)


def enlarged(source: Path, target: Path, times: int) -> None:
    pages = [
        images.Picture(page.pixels.repeat(times, 0).repeat(times, 1), page.metadata)
        for page in images.read_pages(source)
    ]
    images.write_pages(target, pages)


@pytest.mark.parametrize("shape", [(24, 40), (3, 24, 40)])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_sizes_in_descriptions_follow_an_enlargement(tmp_path: Path, times: int, shape: tuple[int, ...]) -> None:
    """tifffile, ImageJ and OME find planes, sizes and microns right, which is why they read the file at all."""
    stack = noise(shape, "uint16")
    axes = "ZYX"[-len(shape) :]
    tifffile.imwrite(tmp_path / "shaped.tif", stack, photometric="minisblack")
    tifffile.imwrite(
        tmp_path / "imagej.tif", stack, imagej=True, resolution=(10.0, 5.0), metadata={"unit": "um", "axes": axes}
    )
    told = {"axes": axes, "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2, "PhysicalSizeXUnit": "µm"}
    tifffile.imwrite(tmp_path / "x.ome.tif", stack, photometric="minisblack", metadata=told)
    for name in ("shaped.tif", "imagej.tif", "x.ome.tif"):
        enlarged(tmp_path / name, tmp_path / f"new-{name}", times)
        expected = stack.repeat(times, -1).repeat(times, -2)
        with tifffile.TiffFile(tmp_path / f"new-{name}") as file:
            assert len(file.series) == 1
            np.testing.assert_array_equal(file.series[0].asarray(), expected)
            page = file.pages.first
            if name == "imagej.tif":
                assert file.is_imagej
                assert page.tags["XResolution"].value == (10 * times, 1)
                assert page.tags["YResolution"].value == (5 * times, 1)
            elif name == "x.ome.tif":
                xml = file.ome_metadata or ""
                assert f'SizeX="{40 * times}"' in xml
                assert f'PhysicalSizeX="{0.1 / times:g}"' in xml
                assert f'PhysicalSizeY="{0.2 / times:g}"' in xml
            else:
                assert json.loads(page.description)["shape"] == list(expected.shape)


def test_microns_follow_an_enlargement_that_is_no_multiple(tmp_path: Path) -> None:
    told = {"axes": "ZYX", "PhysicalSizeX": 0.1, "PhysicalSizeY": 0.2}
    tifffile.imwrite(tmp_path / "x.ome.tif", noise((2, 24, 40), "uint16"), photometric="minisblack", metadata=told)
    tifffile.imwrite(tmp_path / "ij.tif", noise((2, 24, 40), "uint16"), imagej=True, resolution=(10.0, 5.0))
    for name in ("x.ome.tif", "ij.tif"):
        pages = images.read_pages(tmp_path / name)
        large = [images.Picture(np.zeros((36, 50), np.uint16), page.metadata) for page in pages]
        images.write_pages(tmp_path / f"new-{name}", large)
    with tifffile.TiffFile(tmp_path / "new-x.ome.tif") as file:
        assert file.series[0].shape == (2, 36, 50)
        assert 'PhysicalSizeX="0.08"' in (file.ome_metadata or "")
        assert f'PhysicalSizeY="{0.2 / 1.5:.12g}"' in (file.ome_metadata or "")
    with tifffile.TiffFile(tmp_path / "new-ij.tif") as file:
        across, down = (file.pages.first.tags[name].value for name in ("XResolution", "YResolution"))
        assert (across[0] / across[1], down[0] / down[1]) == (12.5, 7.5)


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((24, 40), {"photometric": "minisblack"}),
        ((24, 40), {"photometric": "miniswhite"}),
        ((24, 40), {"photometric": "palette", "colormap": np.arange(768, dtype=np.uint16).reshape(3, 256) << 8}),
        ((24, 40, 3), {"photometric": "rgb"}),
        ((3, 24, 40), {"photometric": "rgb", "planarconfig": "separate"}),
        ((24, 40, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
        ((24, 40, 4), {"photometric": "separated"}),
        ((2, 24, 40, 3), {"photometric": "rgb"}),
        ((2, 3, 24, 40), {"photometric": "minisblack"}),
    ],
)
@pytest.mark.parametrize("ome", [False, True])
def test_tifffile_opens_again_what_it_described(
    tmp_path: Path, shape: tuple[int, ...], options: dict[str, object], ome: bool
) -> None:
    """Also where the kind of pixels has become another, and where one page of several was taken out."""
    if ome and options["photometric"] == "palette":
        pytest.skip("tifffile writes no palettes with OME")
    path = tmp_path / ("x.ome.tif" if ome else "x.tif")
    tifffile.imwrite(path, noise(shape, "uint8"), ome=ome, **options)  # type: ignore[arg-type]
    pages = images.read_pages(path)
    images.write_pages(tmp_path / path.name.replace("x", "y"), pages)
    found = tifffile.imread(tmp_path / path.name.replace("x", "y"))
    if options["photometric"] != "separated":
        np.testing.assert_array_equal(found.reshape(-1), np.stack([page.pixels for page in pages]).reshape(-1))
    images.write(tmp_path / "one.tif", pages[-1].pixels, pages[0])
    one = tifffile.imread(tmp_path / "one.tif")
    assert one.shape[:2] == (24, 40)


@pytest.mark.parametrize("kind", ["imagej", "ome", "shaped"])
def test_one_page_of_a_stack_is_not_described_as_the_stack(tmp_path: Path, kind: str) -> None:
    stack = noise((3, 8, 9), "uint16")
    tifffile.imwrite(tmp_path / "x.tif", stack, photometric="minisblack", imagej=kind == "imagej", ome=kind == "ome")
    first = images.read_pages(tmp_path / "x.tif")[0]
    images.write(tmp_path / "y.tif", first.pixels, first)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "y.tif"), stack[0])


def test_imagej_labels_stay_unless_it_is_enlarged(tmp_path: Path) -> None:
    stack = noise((2, 8, 9), "uint8")
    tifffile.imwrite(tmp_path / "x.tif", stack, imagej=True, metadata={"Labels": ["one", "two"], "axes": "ZYX"})
    for times in (1, 2):
        enlarged(tmp_path / "x.tif", tmp_path / "y.tif", times)
        with tifffile.TiffFile(tmp_path / "y.tif") as file:
            told = file.imagej_metadata or {}
            assert told.get("Labels") == (["one", "two"] if times == 1 else None)


@pytest.mark.parametrize("point", [False, True])
def test_a_map_stays_where_it_is(tmp_path: Path, point: bool) -> None:
    """The middle of every small pixel is on its place, and the value for no data is left alone."""
    keys = (1, 1, 0, 1, 1025, 0, 1, 2 if point else 1)
    tie = (3.0, 2.0, 0.0, 500000.0, 200000.0, 0.0)
    tags = [
        (33550, "d", 3, (10.0, 20.0, 0.0), True),
        (33922, "d", 6, tie, True),
        (34735, "H", 8, keys, True),
        (42113, "s", 0, "-9999", True),
    ]
    tifffile.imwrite(tmp_path / "x.tif", noise((8, 9), "float32"), metadata=None, extratags=tags)
    enlarged(tmp_path / "x.tif", tmp_path / "y.tif", 2)

    def corner(path: Path) -> tuple[float, float]:
        """Where on the map the upper left corner of the picture is."""
        with tifffile.TiffFile(path) as file:
            found = file.pages.first.tags
            (across, down, _), place = found[33550].value, found[33922].value
            assert found[34735].value == keys
            assert found[42113].value == "-9999"
        half = 0.5 if point else 0.0
        return place[3] - (place[0] + half) * across, place[4] + (place[1] + half) * down

    assert corner(tmp_path / "y.tif") == pytest.approx(corner(tmp_path / "x.tif"))
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        assert file.pages.first.tags[33550].value == (5.0, 10.0, 0.0)


@pytest.mark.parametrize("point", [False, True])
def test_a_map_with_a_matrix_stays_where_it_is(tmp_path: Path, point: bool) -> None:
    matrix = np.array([[9.0, 2.0, 0.0, 500.0], [1.0, -7.0, 0.0, 900.0], [0.0] * 4, [0.0, 0.0, 0.0, 1.0]])
    keys = (1, 1, 0, 1, 1025, 0, 1, 2 if point else 1)
    tags = [(34264, "d", 16, tuple(matrix.ravel()), True), (34735, "H", 8, keys, True)]
    tifffile.imwrite(tmp_path / "x.tif", noise((8, 9), "uint8"), metadata=None, extratags=tags)
    enlarged(tmp_path / "x.tif", tmp_path / "y.tif", 2)
    with tifffile.TiffFile(tmp_path / "y.tif") as file:
        new = np.reshape(file.pages.first.tags[34264].value, (4, 4))
    half = 0.5 if point else 0.0
    for x, y in ((0.0, 0.0), (9.0, 8.0), (4.0, 1.0)):  # corners and another place, in old pixels
        old_place = matrix @ [x - half, y - half, 0, 1]
        np.testing.assert_allclose(new @ [2 * x - half, 2 * y - half, 0, 1], old_place)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg", ".bmp"])
def test_a_print_is_as_large_as_before_or_the_dots_are_kept(tmp_path: Path, suffix: str, keep: bool) -> None:
    pixels = noise((8, 9, 3), "uint8")
    images.write(tmp_path / f"x{suffix}", pixels, images.Picture(pixels, images.Metadata(dpi=(300.0, 150.0))))
    picture = images.read(tmp_path / f"x{suffix}")
    images.write(tmp_path / f"y{suffix}", pixels.repeat(3, 0).repeat(3, 1), picture, keep_dpi=keep)
    found = images.read(tmp_path / f"y{suffix}").metadata.dpi
    assert found == pytest.approx((300, 150) if keep else (900, 450), abs=0.1)
    images.write(tmp_path / f"w{suffix}", np.zeros((11, 13, 3), np.uint8), picture, keep_dpi=keep)  # 1.4 times
    found = images.read(tmp_path / f"w{suffix}").metadata.dpi
    assert found == pytest.approx((300, 150) if keep else (300 * 13 / 9, 150 * 11 / 8), abs=0.5)
    images.write(tmp_path / f"z{suffix}", pixels[:5, :5], picture)  # a part that was cut out
    assert images.read(tmp_path / f"z{suffix}").metadata.dpi == pytest.approx((300, 150), abs=0.1)


_WITHOUT_IMAGECODECS = """
import sys
sys.modules["imagecodecs"] = None
from pathlib import Path
import numpy as np
from nlrn import images
for path in sorted(Path(sys.argv[1]).glob("*.tif")):
    try:
        found = images.read(path).pixels
    except images.ImageFileError as error:
        print(path.stem, "refused" if "install nlrn[tiff]" in str(error) else error)
    else:
        wanted = np.load(path.with_suffix(".npy"))
        same = found.shape == wanted.shape and np.abs(found.astype(float) - wanted).max() <= 3
        print(path.stem, "read" if same else "read wrongly")
"""


def test_what_has_no_decoder_is_refused_and_never_taken_for_something_else(tmp_path: Path) -> None:
    """OpenCV reads LZW in separate planes as noise, and so floats that are predicted in PackBits; Pillow loses the
    alpha of gray in separate planes."""
    pytest.importorskip("imagecodecs", exc_type=ImportError)
    rows, columns = np.mgrid[:64, :80]
    planes = np.stack([128 + 90 * np.sin(rows / (9 + k) + columns / (13 - k)) for k in range(4)], -1)
    number = 0
    for compression, dtype, channels, planar, predicted in itertools.product(
        ("lzw", "packbits", "zlib", "zstd", "jpeg", "lerc"),
        ("uint8", "uint16", "float32"),
        (1, 2, 3, 4),
        ("contig", "separate"),
        (False, True),
    ):
        if (channels == 1 and planar == "separate") or (
            compression == "jpeg" and (dtype != "uint8" or channels % 2 == 0 or predicted)
        ):
            continue
        white = {"uint8": 1.0, "uint16": 257.0, "float32": 1 / 255}[dtype]
        pixels = (planes[..., :channels] * white).astype(dtype)
        pixels = pixels[..., 0] if channels == 1 else pixels
        tifffile.imwrite(
            tmp_path / f"{number}.tif",
            np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if planar == "separate" else pixels,
            photometric="rgb" if channels > 2 else "minisblack",
            planarconfig=planar if channels > 1 else None,
            extrasamples=["unassalpha"] if channels in (2, 4) else None,
            compression=compression,
            predictor=(predicted and compression != "lerc") or None,
            metadata=None,
        )
        stored = tifffile.imread(tmp_path / f"{number}.tif")
        wanted = np.moveaxis(stored, 0, -1) if planar == "separate" else stored
        np.save(tmp_path / f"{number}.npy", wanted)
        np.testing.assert_allclose(images.read(tmp_path / f"{number}.tif").pixels.astype(float), wanted, atol=3)
        number += 1
    code = [sys.executable, "-c", _WITHOUT_IMAGECODECS, str(tmp_path)]
    said = subprocess.run(code, capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert len(said) == number
    assert {line.split(" ", 1)[1] for line in said} == {"read", "refused"}
