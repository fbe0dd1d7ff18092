"""What a network looks at: the weights are those of its own forward pass, and the picture shows them."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from nlrn import images, load
from nlrn.cli import main
from nlrn.config import SIMILARITIES
from nlrn.explanation.attention import Attention, Explanation, _radius, attention_at, explain
from nlrn.explanation.heatmaps import colours, draw
from nlrn.inference.fused import bytes_per_pixel
from nlrn.inference.memory import MOST
from nlrn.inference.tiles import reach
from nlrn.network import NLRN, NonLocalBlock
from nlrn.pixels.degrade import resize_bicubic, rgb_to_ycbcr
from nlrn.pixels.noise import estimate_sigma
from nlrn.pixels.scene import Scene


def waves(height: int, width: int, channels: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, channels, height, width, generator=generator)


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("propagate", [True, False])
def test_the_weights_are_those_that_the_blocks_use(network, monkeypatch, similarity: str, propagate: bool) -> None:
    """sum of weights times g is what a block adds to its input, as the reference computes it."""
    monkeypatch.setenv("NLRN_CORRELATION", "reference")
    net = network(similarity=similarity, propagate=propagate, every=2, steps=5)
    passed: list[tuple[Tensor, Tensor]] = []
    propagate_of = NonLocalBlock.propagate

    def recorded(block: NonLocalBlock, x: Tensor, carried: object) -> object:
        out, carried = propagate_of(block, x, carried)
        passed.append((block.g(x), out - x))
        return out, carried

    x = waves(11, 9)
    with monkeypatch.context() as patch, torch.inference_mode():
        patch.setattr(NonLocalBlock, "propagate", recorded)
        net(x, 0.1)
    assert len(passed) == 3
    for row, col in ((0, 0), (5, 4), (10, 8), (1, 7), (10, 0)):
        found = attention_at(net, x, row, col, 0.1)
        assert [a.step for a in found] == [1, 3, 5]
        for attention, (g, added) in zip(found, passed, strict=True):
            weights = torch.from_numpy(attention.weights)
            gathered = (g[0, :, attention.rows, attention.cols] * weights).sum((1, 2))
            torch.testing.assert_close(gathered, added[0, :, row, col], atol=2e-6, rtol=1e-4)


def test_the_window_is_clipped_at_the_border(network) -> None:
    net, x = network(window=5), waves(20, 12)
    for row, col, shape in ((0, 0, (3, 3)), (19, 5, (3, 5)), (10, 11, (5, 3)), (1, 1, (4, 4)), (9, 6, (5, 5))):
        for attention in attention_at(net, x, row, col, 0.1):
            assert attention.weights.shape == shape
            assert attention.weights.sum() == pytest.approx(1, abs=1e-5)
            assert attention.rows.start <= row < attention.rows.stop
            assert attention.cols.start <= col < attention.cols.stop


def test_propagation_can_be_switched_and_leaves_the_network_as_it_was(network) -> None:
    net, x = network(), waves(12, 12)
    before = net(x, 0.1)
    own, on, off = (attention_at(net, x, 6, 6, 0.1, propagate=p) for p in (None, True, False))
    assert all(np.array_equal(a.weights, b.weights) for a, b in zip(own, on, strict=True))
    assert np.array_equal(on[0].weights, off[0].weights)  # there is nothing before the first step
    assert all(np.abs(a.weights - b.weights).max() > 1e-4 for a, b in zip(on[1:], off[1:], strict=True))
    assert net.config.propagate
    assert torch.equal(net(x, 0.1), before)


def test_squares_seen_as_one_pixel_share_its_weight(network) -> None:
    net, x = network(window=3, unshuffle=2), waves(15, 20)
    for row, col, rows, cols in ((6, 9, (4, 10), (6, 12)), (0, 1, (0, 4), (0, 4)), (14, 19, (12, 15), (16, 20))):
        for attention in attention_at(net, x, row, col, 0.1):
            assert (attention.rows, attention.cols) == (slice(*rows), slice(*cols))
            weights = attention.weights
            assert weights.shape == (rows[1] - rows[0], cols[1] - cols[0])
            assert weights[0, 0] == weights[0, 1] == weights[1, 0] == weights[1, 1]
            if rows[1] < 15:
                assert weights.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize(("x", "y"), [(43, 38), (0, 50), (79, 89)])
def test_a_piece_around_the_pixel_is_enough(network, x: int, y: int, unshuffle: int) -> None:
    """The weights are those of a pass over the whole image."""
    pixels = np.random.default_rng(0).integers(0, 256, (180, 160), dtype=np.uint8)
    network = partial(network, unshuffle=unshuffle)
    found = explain(network(), pixels, x, y, sigma=10)
    assert max(found.image.shape) < 60 * unshuffle
    assert found.image[found.row, found.col] == pytest.approx(pixels[y, x] / 255)
    whole = Scene(pixels[..., None]).tensor(slice(None), slice(None))[None]
    for a, b in zip(found.propagated, attention_at(network(), whole, y, x, 10 / 255), strict=True):
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


@pytest.mark.parametrize(("x", "y"), [(30, 33), (0, 40)])
def test_upscaling_sees_the_luma_of_the_enlargement(network, x: int, y: int) -> None:
    net = network(task="sr", noise_map=False)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 60, 3), dtype=np.uint8)
    found = explain(net, pixels, x, y, scale=3)
    assert max(found.image.shape) < 180
    luma = rgb_to_ycbcr(resize_bicubic(Scene(pixels).tensor(slice(None), slice(None)), 192, 180))[None, :1]
    for a, b in zip(found.propagated, attention_at(net, luma, 3 * y + 1, 3 * x + 1), strict=True):
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


@pytest.mark.parametrize("scale", [2, 3])
def test_a_network_that_enlarges_is_explained_on_the_image_itself(network, scale: int) -> None:
    net = network(task="sr", noise_map=False, post_upsampling=True)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 60, 3), dtype=np.uint8)
    found = explain(net, pixels, 30, 33, scale=scale)
    luma = rgb_to_ycbcr(Scene(pixels).tensor(slice(None), slice(None)))[None, :1]
    for a, b in zip(found.propagated, attention_at(net, luma, 33, 30), strict=True):
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_depth_and_alpha_change_nothing(network) -> None:
    net = network()
    gray = np.random.default_rng(0).integers(0, 256, (30, 30), dtype=np.uint8)
    deep = gray.astype(np.uint16) * 257
    with_alpha = np.stack([gray, np.full_like(gray, 255)], 2)
    expected = explain(net, gray, 3, 4, sigma=20).propagated
    for pixels, sigma in ((deep, 20 * 257), (with_alpha, 20), ((gray / 255).astype(np.float32), 20 / 255)):
        for a, b in zip(explain(net, pixels, 3, 4, sigma=sigma).propagated, expected, strict=True):
            np.testing.assert_allclose(a.weights, b.weights, atol=1e-5)


def test_the_noise_is_estimated_where_it_is_not_given(network) -> None:
    net = network()
    pixels = np.random.default_rng(0).normal(0.5, 0.1, (60, 60)).astype(np.float32)
    given = explain(net, pixels, 30, 30, sigma=estimate_sigma(pixels))
    for a, b in zip(explain(net, pixels, 30, 30).propagated, given.propagated, strict=True):
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-6)


def test_what_cannot_be_explained_is_said(network) -> None:
    with pytest.raises(ValueError, match="X goes from 0 to 8, Y from 0 to 6"):
        explain(network(), np.zeros((7, 9), np.uint8), 9, 0)
    with pytest.raises(ValueError, match="no non-local block"):
        explain(network(every=0), np.zeros((7, 9), np.uint8), 0, 0)


def test_a_large_network_stays_within_the_working_memory() -> None:
    network = NLRN()  # the paper's, whose reach is 290 pixels
    config = network.config
    assert reach(config) == 290
    side = 2 * _radius(network) + 1
    assert config.window < side
    assert side**2 * bytes_per_pixel(config, torch.float32, torch.device("cpu")) <= MOST


def drawn(weights: np.ndarray, size: int = 40, at: tuple[int, int] = (20, 20)) -> np.ndarray:
    """The picture of one step, both rows alike."""
    reach = weights.shape[0] // 2
    rows, cols = (slice(max(0, p - reach), min(size, p + reach + 1)) for p in at)
    one = [Attention(1, weights[: rows.stop - rows.start, : cols.stop - cols.start], rows, cols)]
    image = np.full((size, size), 0.5, np.float32)
    return draw(Explanation(image, *at, weights.shape[0], one, one))


def test_the_largest_weight_is_the_brightest_place() -> None:
    weights = np.full((9, 9), 0.001, np.float32)
    weights[2, 7] = 0.9
    sheet = drawn(weights)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    # the maps are in the right column: 13 pixels of the image across, the window 2 pixels inside
    half = sheet[46 : sheet.shape[0] // 2 - 60, sheet.shape[1] // 2 + 7 :]
    yellow = (half[..., 0] > 215) & (half[..., 1] > 215) & (half[..., 2] < 190)
    ys, xs = np.nonzero(yellow)
    zoom = 210 // 13
    assert (ys.mean() // zoom, xs.mean() // zoom) == (2 + 2, 2 + 7)
    assert yellow.sum() == pytest.approx(zoom**2, rel=0.2)


def test_negative_weights_are_cold() -> None:
    warm, cold = colours(np.array([1.0, -1.0]))
    assert warm[0] > warm[2]
    assert cold[2] > cold[0]
    assert np.array_equal(colours(np.array([0.0])), [[0, 0, 4]])
    lightness = colours(np.linspace(0, 1, 50)) @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > 0).all()


def test_pictures_of_any_shape_are_drawn(network) -> None:
    one_pixel = explain(network(), np.full((1, 1), 7, np.uint8), 0, 0, sigma=1)
    assert draw(one_pixel).ndim == 3
    corner = explain(network(window=45, steps=2), np.zeros((9, 200, 3), np.uint16), 199, 8, sigma=257)
    assert draw(corner).shape[2] == 3
    for pixels in (np.zeros((9, 9, 3), np.uint8), np.zeros((9, 9), np.uint8)):  # a network of three channels
        assert draw(explain(network(channels=3), pixels, 4, 8)).ndim == 3
    many = explain(network(window=15, steps=12), np.zeros((20, 20), np.uint8), 9, 9, sigma=1)
    assert draw(many).shape[1] > 12 * 126


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    noise = np.random.default_rng(0).normal(0, 20, (30, 50, 3))
    ramp = np.linspace(40, 200, 50)[None, :, None]
    images.write(tmp_path / "photo.png", (ramp + noise).clip(0, 255).astype(np.uint8))
    return tmp_path / "photo.png"


def test_the_command_draws_the_same(photo: Path, tmp_path: Path, capsys) -> None:
    assert main(["explain", str(photo), "10", "20", "-o", str(tmp_path / "maps.png")]) == 0
    network = load("denoise-color").to(memory_format=torch.channels_last)
    expected = draw(explain(network, images.read(photo).pixels, 10, 20))
    assert np.array_equal(images.read(tmp_path / "maps.png").pixels, expected)
    assert str(tmp_path / "maps.png") in capsys.readouterr().out
    assert main(["explain", str(photo), "49", "29", "-o", str(tmp_path / "up.png"), "--scale", "3"]) == 0
    assert not np.array_equal(images.read(tmp_path / "up.png").pixels, expected)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["50", "0"], "X goes from 0 to 49"),
        (["0", "-1"], "Y from 0 to 29"),
        (["0", "0", "--model", "sr-lite"], "made for sr"),
        (["0", "0", "--scale", "2", "--model", "denoise-gray-lite"], "made for denoise"),
    ],
)
def test_wrong_use_is_one_sentence(photo: Path, tmp_path: Path, capsys, arguments: list[str], said: str) -> None:
    assert main(["explain", str(photo), *arguments, "-o", str(tmp_path / "maps.png")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "maps.png").exists()


def test_the_network_itself_may_be_at_work_elsewhere(network) -> None:
    """The twin that is watched shares the weights and nothing else."""
    net = network()
    assert isinstance(net, NLRN)
    before = dict(vars(net))
    attention_at(net, waves(9, 9), 4, 4, 0.1, propagate=False)
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is value for name, value in before.items())
