"""What the page does, without the page: the same files as the command line makes, and clear refusals."""

import io
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

import nlrn
from nlrn import images
from nlrn.cli import main
from nlrn.images import Metadata, Picture
from nlrn.web import views, words, work
from nlrn.web.jobs import JobCancelledError
from nlrn.web.making import restored_file
from nlrn.web.offers import offers
from nlrn.web.order import Order, order_of
from nlrn.web.pieces import Pieces
from nlrn.web.refused import RefusedError
from nlrn.web.results import Result, command, zipped
from nlrn.web.work import Models, Opened, Page


@pytest.fixture(scope="session")
def models() -> Models:
    return Models(device="cpu")


def noisy(height: int, width: int, channels: int, dtype: str) -> np.ndarray:
    """A ramp with noise of 15, where white is 255."""
    ramp = np.linspace(60, 180, width)[None, :, None] + np.zeros((height, 1, channels))
    values = (ramp + np.random.default_rng(0).normal(0, 15, ramp.shape)).clip(0, 255) / 255
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    pixels = (values * full).astype(dtype)
    if channels in (2, 4):
        pixels[..., -1] = full
        pixels[: height // 3, :, -1] = 0
    return pixels[..., 0] if channels == 1 else pixels


def opened(path: Path) -> Opened:
    place = path.parent / f"kept-{path.name}"
    place.mkdir()
    return work.open_picture(path, place)


def made(found: Opened, order: Order, models: Models, place: Path) -> Result:
    return restored_file(found, order, models, place, lambda done, total: None)


@pytest.mark.parametrize(
    ("name", "channels", "dtype", "order"),
    [
        ("scan one.png", 3, "uint16", Order("denoise")),
        ("photo.jpg", 3, "uint8", Order("denoise", "denoise-gray-lite", sigma=12.5, ensemble=True)),
        ("float.tif", 1, "float32", Order("denoise", sigma=12.5)),
        ("cut out.png", 4, "uint8", Order("sr", scale=2)),
        ("gray.png", 1, "uint16", Order("sr", "sr-lite", scale=3)),
    ],
)
def test_the_file_is_that_of_the_command_line(
    tmp_path: Path, monkeypatch, models: Models, name: str, channels: int, dtype: str, order: Order
) -> None:
    """Bit by bit, made by the very command that the page shows."""
    metadata = Metadata(dpi=(300.0, 300.0), text=(("Title", "ours"),))
    images.write(tmp_path / name, noisy(26, 24, channels, dtype), like=Picture(np.zeros(1), metadata))
    result = made(opened(tmp_path / name), order, models, tmp_path)
    (tmp_path / "page").mkdir()
    path = result.save(tmp_path / "page", "same", None)
    monkeypatch.chdir(tmp_path)
    said = command(result)
    assert said is not None
    assert main([*shlex.split(said)[1:], "--device", "cpu"]) == 0
    assert path.read_bytes() == (tmp_path / path.name).read_bytes()
    assert images.read(path).pixels.dtype == dtype


def test_every_page_of_a_tiff_is_restored_or_said_to_be_left(tmp_path: Path, models: Models) -> None:
    flat = np.full((40, 30), 90, np.uint8)
    images.write_pages(tmp_path / "a.tif", [Picture(noisy(40, 30, 1, "uint8")), Picture(flat)])
    found = opened(tmp_path / "a.tif")
    assert [round(page.sigma) for page in found.pages] == [pytest.approx(15, abs=3), 0]
    shares = []
    result = restored_file(found, Order("denoise"), models, tmp_path, lambda done, total: shares.append(done / total))
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert len(result.notes) == 1
    assert result.notes[0].startswith("Page 2: Left as it is")
    pages = images.read_pages(result.save(tmp_path / "kept-a.tif", "same", None))
    assert pages[0].pixels.std() < found.pages[0].picture.pixels.std()
    assert np.array_equal(pages[1].pixels, flat)


def test_a_piece_is_as_good_as_the_same_part_of_the_whole(tmp_path: Path, models: Models) -> None:
    images.write(tmp_path / "a.png", noisy(70, 80, 3, "uint8"))
    page = opened(tmp_path / "a.png").pages[0]
    pieces = Pieces(models)
    for order, factor in ((Order("denoise", sigma=15), 1), (Order("sr", scale=2), 2), (Order("sr", scale=1.5), 1.5)):
        whole = work.restore(page, order, models)
        piece = pieces.restore(page, (24, 20, 32, 30), order)
        part = whole[int(20 * factor) : int(50 * factor), int(24 * factor) : int(56 * factor)]
        assert piece.shape == part.shape
        assert np.abs(piece.astype(int) - part).max() <= 4
        assert np.abs(piece.astype(int) - part).mean() < 0.3
    for region in ((70, 0, 20, 10), (0, 0, 81, 10), (0, 69, 1, 2)):
        with pytest.raises(RefusedError, match="outside"):
            pieces.restore(page, region, Order("denoise"))


def test_a_piece_is_enlarged_eight_times_too(tmp_path: Path, models: Models) -> None:
    images.write(tmp_path / "a.png", noisy(24, 24, 1, "uint8"))
    page, order = opened(tmp_path / "a.png").pages[0], Order("sr", scale=8)
    piece = Pieces(models).restore(page, (8, 4, 6, 5), order)
    whole = work.restore(page, order, models)[32:72, 64:112]
    assert piece.shape == whole.shape
    assert np.abs(piece.astype(int) - whole).mean() < 0.5


def test_strength_is_how_strong_the_noise_is_taken_to_be(tmp_path: Path, models: Models) -> None:
    images.write(tmp_path / "a.png", noisy(60, 64, 3, "uint8"))
    page = opened(tmp_path / "a.png").pages[0]
    pieces = Pieces(models)
    taken = []
    for strength in (0.0, 0.5, 1.0, 2.0):
        order = Order("denoise", sigma=15, strength=strength)
        whole = work.restore(page, order, models).astype(float)
        assert np.abs(pieces.restore(page, (0, 0, 64, 60), order) - whole).max() <= 1
        taken.append(np.abs(whole - page.picture.pixels).mean())
    assert taken[0] == 0
    assert taken == sorted(taken)


@pytest.mark.parametrize("coarse", [False, True])
def test_a_piece_is_restored_as_what_the_whole_was_found_to_be(tmp_path: Path, models: Models, coarse: bool) -> None:
    """Also where the part itself is too small to tell: the model, and how strong the noise is."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 12, (96, 96, 3))
    if coarse:  # as a camera makes it
        noise = np.kron(rng.normal(0, 8, (48, 48, 1)), np.ones((2, 2, 1)))
        noise = noise + np.kron(rng.normal(0, 5, (12, 12, 3)), np.ones((8, 8, 1)))
    ramp = np.linspace(70, 170, 96)[:, None, None] * np.array([1, 0.8, 0.6]) + noise
    images.write(tmp_path / "a.png", ramp.clip(0, 255).astype(np.uint8))
    page = opened(tmp_path / "a.png").pages[0]
    assert (page.choice.model == "denoise-photo") == coarse
    assert models.chosen(Order("denoise"), page) == ("denoise-photo" if coarse else "denoise-color")
    assert ("grain" in words.found(page)) == coarse
    piece = Pieces(models).restore(page, (32, 40, 20, 16), Order("denoise")).astype(int)
    whole = work.restore(page, Order("denoise"), models).astype(int)
    assert np.abs(piece - whole[40:56, 32:52]).mean() < 0.5


@pytest.mark.parametrize("asked", [None, "denoise-jpeg", "denoise-photo"])
def test_a_file_is_restored_by_what_it_says_of_its_compression(tmp_path: Path, models: Models, asked) -> None:
    """The same as by the command line, and the part that is looked at like the whole."""
    path, out = tmp_path / "a.jpg", tmp_path / "out.png"
    Image.fromarray(data.astronaut()[20:116, 160:256]).save(path, quality=25)
    page, order = opened(path).pages[0], Order("denoise", asked)
    assert page.choice.model == "denoise-jpeg"
    assert "JPEG (quality about 25)" in words.found(page)
    assert work.why_nothing(page, order) is None
    whole = work.restore(page, order, models).astype(int)
    piece = Pieces(models).restore(page, (32, 40, 20, 16), order).astype(int)
    assert np.abs(piece - whole[40:56, 32:52]).mean() < 0.5
    extra = [] if asked is None else ["--model", asked]
    assert main(["denoise", str(path), "-o", str(out), "--device", "cpu", *extra]) == 0
    np.testing.assert_array_equal(images.read(out).pixels, whole)


def test_why_nothing_is_done_is_said(tmp_path: Path, models: Models) -> None:
    images.write(tmp_path / "a.png", np.full((40, 48, 3), 99, np.uint8))
    found = opened(tmp_path / "a.png")
    for order, said in (
        (Order("denoise"), "no noise to speak of"),
        (Order("denoise", sigma=0), "level is 0"),
        (Order("denoise", sigma=20, strength=0), "strength is 0"),
    ):
        result = made(found, order, models, tmp_path)
        assert said in result.notes[0]
        assert np.array_equal(result.pages[0].pixels, found.pages[0].picture.pixels)
    assert not made(found, Order("denoise", sigma=20), models, tmp_path).notes


def test_the_estimate_is_the_one_of_the_command_line(tmp_path: Path, capsys) -> None:
    images.write(tmp_path / "a.png", noisy(40, 50, 3, "uint8"))
    assert main(["denoise", str(tmp_path / "a.png"), "-o", str(tmp_path / "out.png"), "--device", "cpu"]) == 0
    sigma = opened(tmp_path / "a.png").pages[0].sigma
    assert f"sigma {sigma:.3g}," in capsys.readouterr().err
    images.write(tmp_path / "hidden.png", np.zeros((40, 40, 4), np.uint8))
    assert opened(tmp_path / "hidden.png").pages[0].sigma == 0


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_picture_is_described(tmp_path: Path, dtype: str) -> None:
    images.write(tmp_path / "a.tif", noisy(60, 57, 2, dtype))
    page = opened(tmp_path / "a.tif").pages[0]
    depth = {"uint8": "8-bit", "uint16": "16-bit", "float32": "floating-point"}[dtype]
    assert words.describe(page) == f"57 x 60 pixels, {depth} gray with alpha, TIFF"
    assert "noise (level 1" in words.found(page)


def test_bad_files_are_refused_by_name_alone(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    (tmp_path / "text.txt").write_text("root:x:0:0")
    (tmp_path / "empty.png").write_bytes(b"")
    for name, said in (("broken.png", "broken.png"), ("text.txt", "not an image"), ("empty.png", "is empty")):
        with pytest.raises(RefusedError, match=said) as refused:
            work.open_picture(tmp_path / name, tmp_path)
        assert str(tmp_path) not in str(refused.value)
        assert "root" not in str(refused.value)


@pytest.mark.parametrize("name", ["", "no-such", "../weights/sr-lite", "sr-lite", "/etc/passwd"])
def test_only_models_on_the_list_are_looked_up(models: Models, name: str) -> None:
    with pytest.raises(RefusedError, match="choose one from the list"):
        models.restorer(Order("denoise", name))


def test_a_model_of_ones_own_is_on_the_list(network, tmp_path: Path) -> None:
    own = network()
    models = Models({"mine": own}, "cpu")
    assert models.names("denoise")[-1] == "mine"
    assert "mine" not in models.names("sr")
    said = offers({"mine": own})["models"]
    assert {model["name"] for model in said} == {*models.names("denoise"), *models.names("sr")}
    assert all(model["good"] for model in said)
    images.write(tmp_path / "a.png", noisy(30, 30, 1, "uint8"))
    page = opened(tmp_path / "a.png").pages[0]
    one, other = (work.restore(page, Order("denoise", name, sigma=15), models) for name in ("mine", None))
    assert not np.array_equal(one, other)


def test_work_can_end_between_the_steps_of_a_network(tmp_path: Path, models: Models) -> None:
    """Not only between pieces: one of those may take minutes."""
    images.write(tmp_path / "a.png", noisy(40, 40, 3, "uint8"))
    page = opened(tmp_path / "a.png").pages[0]
    calls = []

    def progress(done: int, total: int) -> None:
        calls.append(done / total)
        if len(calls) == 2:
            raise JobCancelledError

    with pytest.raises(JobCancelledError):
        work.restore(page, Order("denoise"), models, progress)
    assert 0 < calls[0] < calls[1] < 1


@pytest.mark.parametrize(
    ("channels", "dtype", "wanted", "ending"),
    [
        (3, "uint8", "same", ".jpg"),
        (3, "uint8", "webp", ".webp"),
        (3, "uint16", "jpeg", ".png"),
        (4, "uint8", "jpeg", ".png"),
        (1, "float32", "png", ".tif"),
        (1, "uint8", "tiff", ".tif"),
    ],
)
def test_a_format_that_would_lose_something_gives_way_to_one_that_does_not(
    tmp_path: Path, channels: int, dtype: str, wanted: str, ending: str
) -> None:
    pixels = noisy(20, 24, channels, dtype)
    result = Result(Path("photo.jpg"), Order("denoise"), [Picture(pixels)], 1.0, [], [])
    path = result.save(tmp_path, wanted, 90)
    assert path.name == f"photo-denoised{ending}"
    kept = images.read(path).pixels
    assert kept.dtype == dtype
    assert kept.shape == pixels.shape
    if ending not in (".jpg", ".webp"):
        assert np.array_equal(kept, pixels)


def test_several_pages_are_saved_as_tiff_whatever_is_wanted(tmp_path: Path) -> None:
    pages = [Picture(noisy(20, 24, 1, "uint8"))] * 2
    result = Result(Path("a.tif"), Order("sr", scale=4), pages, 1.0, [], [])
    assert len(images.read_pages(result.save(tmp_path, "png", None))) == 2
    assert result.file_name("png") == "a-x4.tif"


def test_quality_matters_where_something_is_lost(tmp_path: Path) -> None:
    result = Result(Path("a.jpg"), Order("denoise"), [Picture(noisy(60, 60, 3, "uint8"))], 1.0, [], [])
    sizes = [result.save(tmp_path, "same", quality).stat().st_size for quality in (30, 90, None)]
    assert sizes[0] < sizes[1] < sizes[2]


def test_a_file_in_which_nothing_is_changed_is_given_back_itself(tmp_path: Path) -> None:
    source, place = tmp_path / "fine.jpg", tmp_path / "place"
    place.mkdir()
    images.write(source, noisy(60, 60, 3, "uint8"), quality=90)
    opened = work.open_picture(source, place)
    left = restored_file(opened, Order("denoise", strength=0), work.Models(), place, lambda done, total: None)
    assert left.save(place, "same", None).read_bytes() == source.read_bytes()
    for wanted, quality in (("same", 50), ("webp", None)):
        assert left.save(place, wanted, quality).read_bytes() != source.read_bytes()
    changed = restored_file(opened, Order("denoise", sigma=5), work.Models(), place, lambda done, total: None)
    assert changed.save(place, "same", None).read_bytes() != source.read_bytes()


def test_all_results_come_in_one_file_under_names_of_their_own(tmp_path: Path) -> None:
    pixels = noisy(20, 24, 3, "uint8")
    results = [
        Result(Path(name), Order("denoise"), [Picture(pixels)], 1, [], []) for name in ("a.png", "A.png", "a.png")
    ]
    data = b"".join(zipped(results, tmp_path, "same", None))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a-denoised.png", "A-denoised (2).png", "a-denoised (3).png"]
        (tmp_path / "out.png").write_bytes(archive.read("a-denoised.png"))
    assert np.array_equal(images.read(tmp_path / "out.png").pixels, pixels)
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_what_is_shown_is_eight_bit_rgb_on_white() -> None:
    deep = np.full((4, 6, 4), 65535, np.uint16)
    deep[..., 0] = 0
    deep[0, 0, 3] = 0
    image, factor = views.shown(deep)
    assert factor == 1
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[1, 1].tolist() == [0, 255, 255]
    assert views.shown(np.array([[-0.5, 0.5, 1.5]], np.float32))[0][0, :, 1].tolist() == [0, 128, 255]


def test_a_picture_with_a_range_of_its_own_is_shown_and_restored_in_it(tmp_path: Path, models: Models) -> None:
    counts = (400 + noisy(64, 80, 1, "uint8").astype(np.uint16)).astype(np.uint16)  # no more than a quarter of 65535
    images.write(tmp_path / "counts.tif", counts)
    (page,) = opened(tmp_path / "counts.tif").pages
    assert page.range.own
    assert np.ptp(page.overview) > 200
    assert page.level == pytest.approx(255 / page.range.span * 15, rel=0.3)
    order = Order("denoise")
    piece = Pieces(models).restore(page, (16, 16, 32, 24), order)
    whole = work.restore(page, order, models)
    assert whole.std() < counts.std()
    assert np.abs(piece.astype(int) - whole[16:40, 16:48]).max() <= 0.02 * page.range.span
    assert np.array_equal(whole, np.asarray(nlrn.denoise(counts)))


@pytest.mark.parametrize("size", [(100, 64), (101, 67), (7, 300)])
def test_a_large_picture_is_shown_reduced_with_all_of_its_pixels(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    image, factor = views.shown(pixels, 40)
    assert factor == -(-max(size) // 40)
    assert image.shape == (-(-size[0] // factor), -(-size[1] // factor), 3)
    assert image[0, 0, 0] == pytest.approx(pixels[:factor, :factor].mean(), abs=0.51)
    last = pixels[(image.shape[0] - 1) * factor :, (image.shape[1] - 1) * factor :]
    assert image[-1, -1, 0] == pytest.approx(last.mean(), abs=0.51)


def test_orders_that_make_no_sense_are_refused() -> None:
    assert order_of({"task": "denoise", "sigma": 5}) == Order("denoise", sigma=5.0)
    for scale in (1.5, 3, 8):
        assert order_of({"task": "sr", "sigma": 5, "strength": 0.5, "scale": scale}) == Order("sr", scale=scale)
    for wrong in (
        None,
        [],
        {},
        {"task": "other"},
        {"task": ["denoise"]},
        {"task": "denoise", "sigma": "5"},
        {"task": "denoise", "sigma": float("nan")},
        {"task": "denoise", "sigma": 10**400},
        {"task": "denoise", "sigma": -1},
        {"task": "denoise", "sigma": True},
        {"task": "denoise", "strength": 3},
        {"task": "denoise", "ensemble": 1},
        {"task": "denoise", "model": 7},
        {"task": "sr", "scale": 5},
        {"task": "sr", "scale": 1.25},
        {"task": "sr", "scale": True},
        {"task": "sr", "scale": [2]},
    ):
        with pytest.raises(RefusedError, match="must"):
            order_of(wrong)


def test_the_page_of_a_picture_keeps_its_pixels_on_the_disk(tmp_path: Path) -> None:
    images.write(tmp_path / "a.png", noisy(30, 27, 3, "uint8"))
    page = opened(tmp_path / "a.png").pages[0]
    assert isinstance(page, Page)
    assert isinstance(page.picture.pixels, np.memmap)
    assert np.array_equal(page.picture.pixels, images.read(tmp_path / "a.png").pixels)
