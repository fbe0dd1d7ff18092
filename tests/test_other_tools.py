"""What other programs expect of the package: Hugging Face folders, torch.hub, napari, scikit-image, deepinv."""

import functools
import json
import runpy
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from huggingface_hub import PyTorchModelHubMixin
from safetensors import safe_open
from skimage import data
from skimage.restoration import calibrate_denoiser

import nlrn
from nlrn import napari
from nlrn.evaluation.metrics import psnr
from nlrn.models import cards

ROOT = Path(__file__).parents[1]


class OnTheHub(nlrn.NLRN, PyTorchModelHubMixin):
    """A network with the methods of Hugging Face's tools."""


@pytest.fixture(scope="module")
def noisy() -> tuple[np.ndarray, np.ndarray]:
    """A photograph [64, 80] in [0, 1], and with noise of 0.1."""
    clean = data.camera()[60:124, 180:260] / 255
    return clean, clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)


def test_hugging_face_tools_read_our_folders(network, tmp_path: Path) -> None:
    made = network(every=2)
    nlrn.save(made, tmp_path)
    theirs = OnTheHub.from_pretrained(tmp_path)
    assert theirs.config == made.config
    x = torch.rand(1, 1, 9, 11)
    assert torch.equal(theirs(x, 0.1), made(x, 0.1))
    with safe_open(tmp_path / cards.TENSORS, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_we_read_folders_of_hugging_face_tools(network, tmp_path: Path) -> None:
    made = network(every=2)
    theirs = OnTheHub(made.config)
    theirs.load_state_dict(made.state_dict())
    theirs.save_pretrained(tmp_path)
    assert json.loads((tmp_path / cards.CARD).read_text())["every"] == 2
    loaded = nlrn.load(tmp_path)
    assert loaded.config == made.config
    x = torch.rand(1, 1, 9, 11)
    assert torch.equal(loaded(x, 0.1), made(x, 0.1))


def test_torch_hub(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    for name, card in nlrn.list_models().items():
        x = torch.from_numpy(noisy[1]).float().expand(1, card["config"]["channels"], -1, -1)
        loaded = torch.hub.load(ROOT, name.replace("-", "_"), source="local")
        with torch.inference_mode():
            assert torch.equal(loaded(x, 0.1, scale=2), nlrn.load(name)(x, 0.1, scale=2))
    offered = {n: v for n, v in runpy.run_path(str(ROOT / "hubconf.py")).items() if callable(v) and n[0] != "_"}
    assert offered.keys() == {name.replace("-", "_") for name in nlrn.list_models()}
    assert "PSNR in dB:" in offered["denoise_gray_lite"].__doc__
    assert "Set12" in offered["denoise_gray_lite"].__doc__


def test_torch_hub_from_a_checkout_that_is_not_installed(tmp_path: Path) -> None:
    code = (
        "import importlib.metadata as m, sys\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = missing\n"
        "sys.path = [p for p in sys.path if p != sys.argv[1] + '/src']\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in repr(f)]\n"
        "import torch\n"
        "n = torch.hub.load(sys.argv[1], 'sr_lite', source='local')\n"
        "import nlrn; print(nlrn.__version__, sum(p.numel() for p in n.parameters()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ROOT)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.stdout == f"0+checkout {nlrn.list_models()['sr-lite']['parameters']}\n", done.stderr


def test_napari_finds_the_function_of_the_manifest() -> None:
    (entry,) = entry_points(group="napari.manifest", name="nlrn")
    package, _, file = entry.value.partition(":")
    manifest = yaml.safe_load((Path(sys.modules[package].__path__[0]) / file).read_text())
    assert manifest["name"] == "nlrn"
    commands = {command["id"]: command["python_name"] for command in manifest["contributions"]["commands"]}
    (widget,) = manifest["contributions"]["widgets"]
    assert commands[widget["command"]] == "nlrn.napari:denoise"
    assert napari.denoise.__annotations__ == {
        "image": "napari.types.ImageData",
        "sigma": float,
        "return": "napari.types.ImageData",
    }
    (sample,) = manifest["contributions"]["sample_data"]
    assert commands[sample["command"]] == "nlrn.napari:sample"
    assert "napari" not in sys.modules


def test_the_sample_for_napari_is_a_layer_that_can_be_restored() -> None:
    ((pixels, about, kind),) = napari.sample()
    assert (pixels.dtype, pixels.shape, kind) == (np.uint16, (2, 256, 256), "image")
    assert about["name"]
    rough = [np.abs(np.diff(plane.astype(float), axis=1)).mean() for plane in (pixels[0], napari.denoise(pixels)[0])]
    assert rough[1] < 0.7 * rough[0]  # edges of cells are left


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("sigma", [0.0, 0.1])
def test_napari_layers(noisy: tuple[np.ndarray, np.ndarray], dtype: type, sigma: float) -> None:
    clean, layer = noisy
    full = {np.uint8: 255, np.uint16: 1000}.get(dtype, 5000)  # 16-bit microscopy is often dark
    offset = -700 if dtype in (np.int32, np.float32) else 0
    layer = (layer.clip(0, 1) * full + offset).astype(dtype)
    restored = napari.denoise(np.stack([layer, layer[::-1]]), sigma * full)
    assert restored.dtype == dtype
    assert restored.shape == (2, *layer.shape)
    for one, expected in ((restored[0], clean), (restored[1], clean[::-1])):
        assert psnr((one - float(offset)) / full, expected, 1) > psnr(noisy[1].clip(0, 1), clean, 1) + 5


def test_napari_colours_and_what_is_no_image(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    layer = np.dstack([noisy[1]] * 3)
    assert napari.denoise(layer, 0.1).shape == layer.shape
    foreign = (layer[..., 0] * 1000).clip(0).astype(">u2")
    assert napari.denoise(foreign, 100.0).dtype == foreign.dtype
    assert np.array_equal(napari.denoise(np.full((30, 30), 7)), np.full((30, 30), 7))
    with pytest.raises(ValueError, match="two axes"):
        napari.denoise(np.zeros(9))
    np.testing.assert_array_equal(napari.denoise(np.array([[1, np.nan]])), [[1, np.nan]])


def test_scikit_image_calibrates_our_denoiser(noisy: tuple[np.ndarray, np.ndarray]) -> None:
    clean, image = noisy
    calibrated, (tried, losses) = calibrate_denoiser(image, nlrn.denoise, {"sigma": [0.01, 0.1]}, extra_output=True)
    assert tried[int(np.argmin(losses))] == {"sigma": 0.1}
    assert psnr(calibrated(image), clean, 1) > psnr(image, clean, 1) + 4


def test_scikit_image_calibrates_in_colour() -> None:
    clean = data.astronaut()[:48, 180:240] / 255
    image = (clean + np.random.default_rng(0).normal(0, 0.1, clean.shape)).astype(np.float32)
    function = functools.partial(nlrn.denoise, precision="fp32")
    parameters = {"sigma": [0.01, 0.1], "channel_axis": [-1]}
    calibrated, (tried, losses) = calibrate_denoiser(image, function, parameters, extra_output=True)
    assert tried[int(np.argmin(losses))]["sigma"] == 0.1
    assert psnr(calibrated(image), clean, 1) > psnr(image, clean, 1) + 3


def test_networks_take_sigma_as_deepinv_gives_it() -> None:
    network = nlrn.load("denoise-gray-lite")
    x = torch.rand(3, 1, 12, 10)
    with torch.inference_mode():
        one = network(x, 0.1)
        for sigma in (torch.tensor(0.1), torch.full((3,), 0.1), torch.full((3, 1, 1, 1), 0.1)):
            assert torch.equal(network(x, sigma), one)
        each = network(x, torch.tensor([0.05, 0.1, 0.2]))
        assert torch.allclose(each[1:2], network(x[1:2], sigma=0.1), atol=1e-6)
        assert not torch.allclose(each[0], one[0], atol=1e-3)
