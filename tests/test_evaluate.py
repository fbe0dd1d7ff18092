"""The test protocol, pinned with networks that change nothing: a fresh NLRN is the identity."""

import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console

from nlrn.config import Config
from nlrn.evaluation.evaluate import EvaluationError, evaluate_denoise, evaluate_sr
from nlrn.evaluation.metrics import psnr, shave, ssim
from nlrn.evaluation.patches import restore_by_patches
from nlrn.evaluation.published import OVERLAPS, published, set_name
from nlrn.evaluation.report import ImageScore, Report, Result, as_json, print_report
from nlrn.files import write_json
from nlrn.inference.fused import FusedNLRN
from nlrn.network import NLRN
from nlrn.pixels.degrade import add_noise, noise_seed, resize_bicubic, rgb_to_y, round_8bit

SETS = Path(__file__).parents[2] / "shared" / "data" / "test"
needs_sets = pytest.mark.skipif(not SETS.is_dir(), reason="the test sets are not here")
TINY = Config(steps=1, filters=4, embedding=2, window=3)


def identity(task: str = "denoise", channels: int = 1, *, post_upsampling: bool = False) -> NLRN:
    return NLRN(replace(TINY, every=0, task=task, channels=channels, post_upsampling=post_upsampling)).eval()


def changing(**fields: object) -> NLRN:
    """A network that does something, in which each pixel depends on its surroundings."""
    torch.manual_seed(0)
    network = NLRN(replace(TINY, **fields)).eval()  # type: ignore[arg-type]
    torch.nn.init.normal_(network.tail.weight, std=0.1)
    torch.nn.init.normal_(network.bodies[0].non_local.g.weight, std=0.3)
    return network


def draw(path: Path, height: int = 40, width: int = 36, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Write a smooth random image; returns its pixels."""
    coarse = torch.rand(channels, 6, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    fine = round_8bit(resize_bicubic(coarse, height, width)).mul(255).round().to(torch.uint8).numpy()
    pixels = fine[0] if channels == 1 else fine.transpose(1, 2, 0)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "some-set"
    path.mkdir()
    draw(path / "b.png", channels=1, seed=1)
    draw(path / "a.bmp", channels=1, seed=2)
    (path / "Thumbs.db").write_bytes(b"not an image")
    return path


def test_denoising_follows_the_protocol_to_the_last_digit(folder: Path) -> None:
    first, second = (evaluate_denoise(identity(), folder, [25, 50]) for _ in range(2))
    assert [i.name for i in first.results[0].images] == ["a.bmp", "b.png"]
    for result, again in zip(first.results, second.results, strict=True):
        for image, repeated in zip(result.images, again.images, strict=True):
            original = np.asarray(Image.open(folder / image.name)) / 255
            noise = np.random.RandomState(noise_seed(image.name, result.level)).standard_normal(original.shape)
            noisy = np.float32(original + result.level / 255 * noise[:]).clip(0, 1).astype(np.float64)
            rounded = np.floor(noisy * 255 + 0.5) / 255
            assert (image.psnr, image.ssim) == (repeated.psnr, repeated.ssim)
            assert image.psnr == pytest.approx(psnr(rounded, original), abs=1e-9)
            assert image.ssim == pytest.approx(ssim(rounded, original), abs=1e-9)
        assert result.psnr == pytest.approx(sum(i.psnr for i in result.images) / 2)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """What networks are given: image and noise level."""
    given: list[tuple[torch.Tensor, torch.Tensor]] = []
    call = FusedNLRN.__call__

    def noted(self: FusedNLRN, x: torch.Tensor, sigma: torch.Tensor, scale: int | None = None) -> torch.Tensor:
        given.append((x, sigma))
        return call(self, x, sigma, scale)

    monkeypatch.setattr(FusedNLRN, "__call__", noted)
    return given


def test_noise_beyond_the_range_reaches_the_network(tmp_path: Path, seen) -> None:
    Image.fromarray(np.full((32, 32), 255, np.uint8)).save(tmp_path / "white.png")
    evaluate_denoise(identity(), tmp_path, [50])
    expected = add_noise(torch.ones(1, 32, 32), 50 / 255, noise_seed("white.png", 50))
    torch.testing.assert_close(seen[0][0][0], expected)
    assert float(seen[0][0].max()) > 1.2


def test_a_noise_map_is_told_the_level_in_the_units_of_the_image(folder: Path, seen) -> None:
    evaluate_denoise(NLRN(replace(TINY, noise_map=True)).eval(), folder, [25])
    assert [float(sigma) for _, sigma in seen] == pytest.approx([25 / 255] * 2)


def test_colour_images_become_gray_for_gray_networks_and_gray_ones_rgb_for_colour_networks(
    tmp_path: Path,
) -> None:
    colour = draw(tmp_path / "c.png").astype(np.float64)
    gray = np.floor(colour @ [0.299, 0.587, 0.114] + 0.5) / 255
    seed = noise_seed("c.png", 15)
    (image,) = evaluate_denoise(identity(), tmp_path, [15]).results[0].images
    noisy = round_8bit(add_noise(torch.from_numpy(gray), 15 / 255, seed)).numpy()
    assert image.psnr == pytest.approx(psnr(noisy, gray), abs=0.01)

    (image,) = evaluate_denoise(identity(channels=3), tmp_path, [15]).results[0].images
    original = torch.from_numpy(colour / 255).permute(2, 0, 1)
    noisy = round_8bit(add_noise(original, 15 / 255, seed)).numpy()
    assert image.psnr == pytest.approx(psnr(noisy, original.numpy()), abs=0.01)

    Image.fromarray(np.uint8(colour[..., 0])).save(tmp_path / "c.png")
    report = evaluate_denoise(identity(channels=3), tmp_path, [15])
    assert report.channels == 3
    assert 24 < report.results[0].psnr < 26


@pytest.mark.parametrize("post_upsampling", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_super_resolution_follows_the_protocol(tmp_path: Path, scale: int, post_upsampling: bool) -> None:
    colour = torch.from_numpy(draw(tmp_path / "c.png", 47, 41)).permute(2, 0, 1).double() / 255
    colour = colour[:, : 47 // scale * scale, : 41 // scale * scale]
    luma = round_8bit(rgb_to_y(colour))
    size = luma.shape[1:]
    small = round_8bit(resize_bicubic(luma, size[0] // scale, size[1] // scale))
    enlarged = round_8bit(resize_bicubic(small, *size))
    network = identity("sr", post_upsampling=post_upsampling)
    (image,) = evaluate_sr(network, tmp_path, [scale]).results[0].images
    ours, truth = shave(enlarged.numpy(), scale), shave(luma.numpy(), scale)
    # the network works in float32, which may turn a rounding
    assert image.psnr == pytest.approx(psnr(ours, truth), abs=0.01)
    assert image.ssim == pytest.approx(ssim(ours, truth), abs=1e-4)


def test_gray_files_keep_their_range_in_super_resolution(tmp_path: Path) -> None:
    pixels = draw(tmp_path / "g.png", channels=1)
    original = torch.from_numpy(pixels / 255)[None]
    enlarged = round_8bit(resize_bicubic(round_8bit(resize_bicubic(original, 20, 18)), 40, 36))
    expected = psnr(shave(enlarged.numpy(), 2), shave(original.numpy(), 2))
    assert evaluate_sr(identity("sr"), tmp_path, [2]).results[0].psnr == pytest.approx(expected, abs=0.01)


@needs_sets
def test_bicubic_on_set5_scores_what_papers_print() -> None:
    report = evaluate_sr(identity("sr"), SETS / "Set5", [2, 4])
    bicubic = published("sr", report.data, 1)[0]
    assert bicubic.method == "Bicubic"
    for result in report.results:
        paper = bicubic.scores[int(result.level)]
        # the rounding of the reduced image costs up to 0.01 dB, see the next test
        assert result.psnr == pytest.approx(paper.psnr, abs=0.011)
        assert result.ssim == pytest.approx(paper.ssim, abs=0.0004)


@needs_sets
@pytest.mark.parametrize(("scale", "expected"), [(2, (33.66, 0.9299)), (4, (28.42, 0.8104))])
def test_without_rounding_the_reduced_image_the_papers_figures_are_exact(
    scale: int, expected: tuple[float, float]
) -> None:
    scores = []
    for path in sorted((SETS / "Set5").glob("*.bmp")):
        luma = round_8bit(rgb_to_y(torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).double() / 255))
        height, width = (side // scale for side in luma.shape[1:])
        luma = luma[:, : height * scale, : width * scale]
        enlarged = round_8bit(resize_bicubic(resize_bicubic(luma, height, width), *luma.shape[1:]))
        ours, truth = shave(enlarged.numpy(), scale), shave(luma.numpy(), scale)
        scores.append((psnr(ours, truth), ssim(ours, truth)))
    means = np.mean(scores, axis=0)
    assert (round(float(means[0]), 2), round(float(means[1]), 4)) == expected


@needs_sets
def test_noise_of_25_on_set12_is_20_decibels() -> None:
    report = evaluate_denoise(identity(), SETS / "Set12", [25])
    assert len(report.results[0].images) == 12
    # 20 log10(255 / 25) = 20.17, and a little more, because the result is clipped
    assert 20.17 < report.results[0].psnr < 20.5


def test_noise_of_25_is_2017_hundredths_where_nothing_is_clipped(tmp_path: Path) -> None:
    Image.fromarray(np.full((400, 400), 128, np.uint8)).save(tmp_path / "flat.png")
    report = evaluate_denoise(identity(), tmp_path, [25])
    assert report.results[0].psnr == pytest.approx(20 * math.log10(255 / 25), abs=0.02)


@pytest.mark.parametrize(("height", "width"), [(45, 45), (70, 52), (20, 61), (46, 91)])
@pytest.mark.parametrize("stride", [7, 45])
def test_patches_are_averaged_as_in_a_slow_loop(height: int, width: int, stride: int) -> None:
    network = changing(noise_map=True)
    image = torch.rand(1, 1, height, width, generator=torch.Generator().manual_seed(1))
    ours = restore_by_patches(network, image, 0.1, stride=stride)
    total, count = np.zeros((height, width)), np.zeros((height, width))
    tops = {*range(0, max(1, height - 45), stride), max(0, height - 45)}
    lefts = {*range(0, max(1, width - 45), stride), max(0, width - 45)}
    with torch.inference_mode():
        for top in tops:
            for left in lefts:
                patch = network(image[:, :, top : top + 45, left : left + 45], 0.1)[0, 0]
                total[top : top + 45, left : left + 45] += patch.numpy()
                count[top : top + 45, left : left + 45] += 1
    assert count.min() >= 1
    np.testing.assert_allclose(ours[0, 0].numpy(), total / count, atol=1e-5)


def test_patches_and_ensemble_are_other_ways_to_run_the_same_weights(tmp_path: Path) -> None:
    draw(tmp_path / "g.png", 60, 60, channels=1)
    network = changing()
    whole = evaluate_denoise(network, tmp_path, [25]).results[0]
    patches = evaluate_denoise(network, tmp_path, [25], stride=7).results[0]
    ensemble = evaluate_denoise(network, tmp_path, [25], ensemble=True).results[0]
    lowered = evaluate_denoise(network, tmp_path, [25], precision=torch.bfloat16).results[0]
    assert len({r.psnr for r in (whole, patches, ensemble, lowered)}) == 4
    assert lowered.psnr == pytest.approx(whole.psnr, abs=0.3)
    # of one patch there is nothing to average
    draw(tmp_path / "g.png", 45, 45, channels=1)
    whole = evaluate_denoise(network, tmp_path, [25]).results[0]
    assert evaluate_denoise(network, tmp_path, [25], stride=7).results[0].psnr == pytest.approx(whole.psnr, abs=1e-3)


def test_the_file_holds_exactly_what_was_agreed(folder: Path, tmp_path: Path) -> None:
    report = evaluate_denoise(identity(), folder, [15, 25.5], name="tiny")
    target = tmp_path / "scores.json"
    target.write_text("old")
    write_json(target, as_json(report))
    data = json.loads(target.read_text())
    assert list(data) == ["task", "model", "parameters", "data", "results"]
    assert (data["task"], data["model"], data["data"]) == ("denoise", "tiny", "some-set")
    assert data["parameters"] == sum(p.numel() for p in identity().parameters())
    assert [list(r) for r in data["results"]] == [["sigma", "psnr", "ssim", "seconds", "images"]] * 2
    assert [r["sigma"] for r in data["results"]] == [15, 25.5]
    assert [list(i) for i in data["results"][0]["images"]] == [["name", "psnr", "ssim", "seconds"]] * 2
    assert data["results"][0]["psnr"] == report.results[0].psnr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["scores.json", "some-set"]

    write_json(target, as_json(evaluate_sr(identity("sr"), folder, [2])))
    assert list(json.loads(target.read_text())["results"][0]) == [
        "scale",
        "psnr",
        "ssim",
        "seconds",
        "images",
    ]


def test_a_file_that_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    report = Report("denoise", "m", 1, "d", 1, "", "float32", (Result(25, (ImageScore("a", math.inf, 1.0, 0.1),)),))
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        write_json(tmp_path / "taken", as_json(report))
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
    write_json(tmp_path / "perfect.json", as_json(report))
    assert json.loads((tmp_path / "perfect.json").read_text())["results"][0]["psnr"] is None


def printed(report: Report) -> str:
    console = Console(width=80, record=True, file=io.StringIO())
    print_report(report, console)
    return console.export_text()


def test_the_table_stands_beside_the_published_rows() -> None:
    images = (ImageScore("03.png", 30.0, 0.85, 2.0), ImageScore("04.png", 31.0, 0.95, 4.0))
    text = printed(
        Report("denoise", "mine", 98765, "Set12", 1, "", "float32", (Result(15, images), Result(30, images)))
    )
    lines = {re.split(r"\s{2,}", line.strip())[0]: line for line in text.splitlines()}
    assert "33.16/.9070" in lines["NLRN"]
    assert "331k" in lines["NLRN"]
    assert "32.37" in lines["BM3D"]
    assert "32.86" in lines["DnCNN"]
    assert lines["mine"].count("30.50/.9000") == 2
    assert "98,765" in lines["mine"]
    assert lines["without 04*"].count("30.00/.8500") == 2
    assert lines["seconds/image"].count("3.00") == 2


def test_nothing_is_compared_that_is_not_comparable() -> None:
    result = Result(2, (ImageScore("a.png", 37.0, 0.9, 1.0),))
    assert "VDSR" in printed(Report("sr", "m", 1, "Set5", 1, "", "float32", (result,)))
    assert "[red]m" in printed(Report("sr", "[red]m", 1, "[bold]", 1, "", "float32", (result,)))
    assert "VDSR" not in printed(Report("sr", "m", 1, "holiday", 1, "", "float32", (result,)))
    assert published("denoise", "CBSD68", 1) == ()
    assert published("denoise", "Set12", 3) == ()
    colour = {row.method for row in published("denoise", "CBSD68", 3)}
    assert colour == {"CBM3D", "LIDIA", "GroupSC", "DnCNN", "FFDNet", "DRUNet"}
    # NLRN at x3 could not be traced to a table
    assert all(3 not in row.scores for row in published("sr", "Set5", 1) if row.method == "NLRN")


@pytest.mark.parametrize(
    ("folder_name", "name"),
    [
        ("Set12", "Set12"),
        ("set_12", "Set12"),
        ("BSDS100", "BSD100"),
        ("kodak", "Kodak24"),
        ("my cat", "my cat"),
    ],
)
def test_sets_are_recognised_from_the_name_of_the_folder(folder_name: str, name: str) -> None:
    assert set_name(folder_name) == name


@needs_sets
def test_the_overlapping_images_are_in_their_sets() -> None:
    for name, stem in OVERLAPS.items():
        assert len(list((SETS / name).glob(f"{stem}[._]*"))) == 1


def test_errors_are_one_sentence(folder: Path, tmp_path: Path) -> None:
    def message(call: Callable[..., Report], *args: object, **options: object) -> str:
        with pytest.raises(ValueError, match=r"^[^\n]+$") as error:
            call(*args, **options)
        return str(error.value)

    assert "no such folder" in message(evaluate_denoise, identity(), tmp_path / "none", [25])
    (tmp_path / "empty").mkdir()
    assert "no images" in message(evaluate_denoise, identity(), tmp_path / "empty", [25])
    assert "'sr'" in message(evaluate_denoise, identity("sr"), folder, [25], name="m")
    assert "sigma" in message(evaluate_denoise, identity(), folder, [0])
    assert "scale" in message(evaluate_sr, identity("sr"), folder, [1])
    assert "stride" in message(evaluate_denoise, identity(), folder, [25], stride=0)
    assert "ensemble" in message(evaluate_denoise, identity(), folder, [25], stride=7, ensemble=True)

    broken = identity()
    torch.nn.init.constant_(broken.tail.weight, math.nan)
    assert "a.bmp" in message(evaluate_denoise, broken, folder, [25])
    Image.fromarray(np.zeros((30, 30), np.uint16)).save(folder / "c.png")
    assert "c.png: not an 8-bit image" in message(evaluate_denoise, identity(), folder, [25])
    draw(folder / "c.png", 15, 12)
    assert "c.png: too small" in message(evaluate_sr, identity("sr"), folder, [2])
    (folder / "c.png").write_bytes(b"")
    with pytest.raises(EvaluationError, match=r"c\.png"):
        evaluate_denoise(identity(), folder, [25])


def test_progress_goes_where_it_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(stderr=True, force_terminal=True)
    evaluate_denoise(identity(), folder, [25], console=console)
    assert "b.png at 25" in capsys.readouterr().err
    evaluate_denoise(identity(), folder, [25])
    assert capsys.readouterr() == ("", "")
