"""Programs that people already use: deepinv and ComfyUI, by the contracts that they publish."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import nlrn

ROOT = Path(__file__).parents[1]


@pytest.fixture
def deepinv(monkeypatch):
    """Our module beside deepinv's base class, or beside one with its signature where it is not installed."""
    try:
        importlib.import_module("deepinv")
    except ImportError:
        package, models = ModuleType("deepinv"), ModuleType("deepinv.models")

        class Denoiser(torch.nn.Module):
            def __init__(self, device=None) -> None:
                super().__init__()

        models.Denoiser = Denoiser
        package.models = models
        monkeypatch.setitem(sys.modules, "deepinv", package)
        monkeypatch.setitem(sys.modules, "deepinv.models", models)
    monkeypatch.delitem(sys.modules, "nlrn.deepinv", raising=False)
    yield importlib.import_module("nlrn.deepinv")
    sys.modules.pop("nlrn.deepinv", None)


def test_the_denoiser_of_deepinv_takes_the_level_in_the_units_of_the_image(deepinv) -> None:
    denoiser = deepinv.Denoiser("denoise-gray-lite")
    clean = torch.full((2, 1, 24, 24), 0.5)
    noisy = clean + torch.tensor([0.05, 0.15]).view(2, 1, 1, 1) * torch.randn(
        clean.shape, generator=torch.Generator().manual_seed(0)
    )
    before = (noisy - clean).square().mean()
    assert (denoiser(noisy, 0.1) - clean).square().mean() < before / 3
    assert (denoiser(noisy, torch.tensor([0.05, 0.15])) - clean).square().mean() < before / 10
    noisy.requires_grad_()
    denoiser(noisy, 0.1).sum().backward()
    assert noisy.grad.abs().sum() > 0


def test_a_model_that_takes_no_level_is_refused_for_deepinv(deepinv) -> None:
    with pytest.raises(nlrn.ModelError, match="noise level"):
        deepinv.Denoiser("sr-lite")


def test_the_nodes_of_comfyui_run_by_their_contract(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    nodes = importlib.import_module("comfyui")
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    image = torch.rand(2, 20, 24, 3, generator=torch.Generator().manual_seed(0))
    asked = {"NLRNDenoise": {"strength": 1.0, "sigma": 20.0}, "NLRNUpscale": {"scale": 2}}
    sizes = {"NLRNDenoise": (2, 20, 24, 3), "NLRNUpscale": (2, 40, 48, 3)}
    for name, node in nodes.NODE_CLASS_MAPPINGS.items():
        fields = node.INPUT_TYPES()["required"]
        assert fields.keys() == {"image", "model", *asked[name]}
        (made,) = getattr(node(), node.FUNCTION)(image=image, model=fields["model"][0][0], **asked[name])
        assert made.shape == sizes[name]
        assert made.dtype == torch.float32
        assert 0 <= made.min() <= made.max() <= 1
