"""What the page does, without the page: the same files as the command line makes, and clear refusals."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nlrn import images
from nlrn.batch import UsageError
from nlrn.cli import main
from nlrn.config import TASKS
from nlrn.images import Metadata, Picture
from nlrn.models.cards import SHIPPED
from nlrn.web import work
from nlrn.web.work import Models, Opened, Order


@pytest.fixture(scope="session")
def models() -> Models:
    return Models({}, "cpu")


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


@pytest.mark.parametrize(
    ("name", "channels", "dtype", "order"),
    [
        ("scan one.png", 3, "uint16", Order("denoise", TASKS["denoise"].defaults[3])),
        ("photo.jpg", 3, "uint8", Order("denoise", TASKS["denoise"].defaults[1], sigma=12.5, ensemble=True)),
        ("float.tif", 1, "float32", Order("denoise", TASKS["denoise"].defaults[1], sigma=12.5)),
        ("cut out.png", 4, "uint8", Order("sr", TASKS["sr"].defaults[3], scale=2)),
        ("gray.png", 1, "uint16", Order("sr", TASKS["sr"].defaults[1], scale=3)),
    ],
)
def test_the_file_is_that_of_the_command_line(
    tmp_path: Path, monkeypatch, models: Models, name: str, channels: int, dtype: str, order: Order
) -> None:
    """Bit by bit, made by the very command that the page shows."""
    metadata = Metadata(dpi=(300.0, 300.0), text=(("Title", "ours"),))
    images.write(tmp_path / name, noisy(26, 24, channels, dtype), like=Picture(np.zeros(1), metadata))
    opened = work.open_picture(tmp_path / name)
    (tmp_path / "page").mkdir()
    made = work.restore(opened, order, models, tmp_path / "page")
    monkeypatch.chdir(tmp_path)
    words = shlex.split(work.command(opened, order))
    assert words[0] == "nlrn"
    assert main(words[1:]) == 0
    assert made.path.read_bytes() == (tmp_path / made.path.name).read_bytes()
    kept = images.read(made.path)
    assert kept.pixels.dtype == dtype
    assert kept.metadata.dpi == pytest.approx((300, 300), abs=0.1)
    assert made.seconds > 0


def test_the_estimate_is_the_one_of_the_command_line(tmp_path: Path, capsys) -> None:
    images.write(tmp_path / "a.png", noisy(40, 50, 3, "uint8"))
    assert main(["denoise", str(tmp_path / "a.png"), "-o", str(tmp_path / "out.png")]) == 0
    sigma = work.open_picture(tmp_path / "a.png").sigma
    assert f"sigma {sigma:.3g}," in capsys.readouterr().err
    assert sigma == pytest.approx(15, abs=2.5)
    images.write(tmp_path / "deep.png", noisy(40, 50, 3, "uint8").astype(np.uint16) * 257)
    assert work.open_picture(tmp_path / "deep.png").sigma == pytest.approx(sigma, rel=1e-3)


def test_bad_files_are_refused_by_name_alone(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    (tmp_path / "text.txt").write_text("root:x:0:0")
    images.write(tmp_path / "large.png", np.zeros((50, 40), np.uint8))
    monkeypatch.setattr(work, "MAX_PIXELS", 1999)
    for name, said in (("broken.png", "broken.png"), ("text.txt", "not an image"), ("large.png", "takes up to")):
        with pytest.raises(UsageError, match=said) as refused:
            work.open_picture(tmp_path / name)
        assert str(tmp_path) not in str(refused.value)
        assert "root" not in str(refused.value)
    monkeypatch.setattr(work, "MAX_BYTES", 10)
    with pytest.raises(UsageError, match="more than 0 MB"):
        work.open_picture(tmp_path / "broken.png")


def test_an_enlargement_has_a_limit_too(tmp_path: Path, monkeypatch, models: Models) -> None:
    monkeypatch.setattr(work, "MAX_PIXELS", 10_000)
    with pytest.raises(UsageError, match="would become 0 megapixels"):
        work.restore(opened_of(noisy(60, 60, 1, "uint8")), Order("sr", "sr-lite", scale=2), models, tmp_path)


def opened_of(pixels: np.ndarray, name: str = "a.png") -> Opened:
    return Opened(name, Picture(pixels, Metadata("PNG", "RGB")), 0.0)


@pytest.mark.parametrize(
    "name", ["", "no-such", str(SHIPPED / "denoise-gray-lite"), "../weights/sr-lite", "sr-lite", "/etc/passwd"]
)
def test_only_models_on_the_list_are_looked_up(tmp_path: Path, models: Models, name: str) -> None:
    with pytest.raises(UsageError, match="choose one from the list"):
        work.restore(opened_of(noisy(8, 8, 1, "uint8")), Order("denoise", name), models, tmp_path)


def test_a_model_of_ones_own_is_on_the_list(network, tmp_path: Path) -> None:
    own = network()
    models = Models({"mine": own}, "cpu")
    assert models.names("denoise")[-1] == "mine"
    assert "mine" not in models.names("sr")
    assert models.get("mine", "denoise") is own
    said = []
    order = Order("denoise", "denoise-gray-lite", sigma=10)
    opened = opened_of(noisy(20, 24, 3, "uint8"))
    found = work.compare(opened, order, models, tmp_path, lambda *done: said.append(done))
    assert [caption.partition(":")[0] for _, caption in found] == ["the picture as it came", *models.names("denoise")]
    assert len({path.read_bytes() for path, _ in found}) == len(found)
    assert said[0] == (models.names("denoise")[0], 0)
    assert said[-1] == ("mine", 1)
    assert sorted(tmp_path.iterdir()) == sorted(path for path, _ in found)


def test_of_a_large_picture_the_middle_is_compared(tmp_path: Path, models: Models, monkeypatch) -> None:
    monkeypatch.setattr(work, "_COMPARED", 24)
    opened = opened_of(noisy(20, 33, 3, "uint8"))
    found = work.compare(opened, Order("denoise", "mine", sigma=10), models, tmp_path, lambda *done: None)
    assert found[0][1] == "the picture as it came: its middle, 24 x 20 pixels"
    shown = [np.array(Image.open(path)) for path, _ in found]
    assert np.array_equal(shown[0], opened.picture.pixels[:, 4:28])
    assert {picture.shape for picture in shown} == {(20, 24, 3)}


def test_a_sigma_that_cannot_be_meant_is_refused(tmp_path: Path, models: Models) -> None:
    order = Order("denoise", "denoise-gray-lite", sigma=300)
    with pytest.raises(UsageError, match="cannot be meant"):
        work.restore(opened_of(noisy(8, 8, 1, "uint8")), order, models, tmp_path)


def test_what_is_shown_is_eight_bit_rgb_on_white(monkeypatch) -> None:
    deep = np.full((4, 6, 4), 65535, np.uint16)
    deep[..., 0] = 0
    deep[0, 0, 3] = 0
    image = np.array(work.shown(deep))
    assert image.shape == (4, 6, 3)
    assert image[0, 0].tolist() == [255, 255, 255]
    assert image[1, 1].tolist() == [0, 255, 255]
    assert np.array(work.shown(np.array([[-0.5, 0.5, 1.5]], np.float32)))[0, :, 1].tolist() == [0, 128, 255]
    assert work.shown(np.zeros((3, 5), np.uint8), (10, 6)).size == (10, 6)
    monkeypatch.setattr(work, "_LONGEST_SHOWN", 100)
    large = opened_of(np.zeros((50, 400), np.uint8))
    assert work.shown(large.picture.pixels).size == (100, 12)
    assert work.pixel_at(large, 99, 11) == (396, 45)
    assert work.pixel_at(opened_of(np.zeros((50, 40), np.uint8)), 39, 49) == (39, 49)


def test_a_picture_is_described(tmp_path: Path) -> None:
    images.write(tmp_path / "a.tif", noisy(5, 7, 2, "uint16"))
    assert work.describe(work.open_picture(tmp_path / "a.tif")) == "7 x 5 pixels, 16-bit gray with alpha, TIFF"


def test_a_format_that_cannot_be_written_becomes_png() -> None:
    order = Order("denoise", "denoise-gray-lite")
    assert work.file_name(opened_of(np.zeros((2, 2)), "photo.ppm.gz"), order) == "photo.ppm-denoised.png"
    assert work.file_name(opened_of(np.zeros((2, 2)), "photo.JPG"), Order("sr", "sr-lite", scale=4)) == "photo-x4.JPG"
