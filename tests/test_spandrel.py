"""spandrel detects our weights among all others, loads them, and restores with them what the package restores.

spandrel needs a torchvision that fits torch, for two architectures of others; where there is none, a stand-in for the
three names that it imports takes its place, in a process of its own.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import nlrn

STAND_IN = """
import importlib.util, sys, types
if importlib.util.find_spec("torchvision") is None:
    functional = types.ModuleType("torchvision.transforms.functional")
    functional.InterpolationMode = functional.rotate = functional.normalize = None
    for name in ("torchvision", "torchvision.transforms"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchvision.transforms.functional"] = functional
"""
CODE = """
import numpy as np, spandrel, torch
import nlrn, nlrn.spandrel

torch.set_num_threads(1)
folder, image = sys.argv[1], torch.from_numpy(np.load(sys.argv[2]))
nlrn.spandrel.register(scale=3)
theirs = [a for a in spandrel.MAIN_REGISTRY.architectures("detection") if a.architecture.id != "NLRN"]
loader = spandrel.ModelLoader()
for name, purpose, scale in (("denoise-gray-lite", "Restoration", 1), ("sr-lite", "SR", 3)):
    file = f"{folder}/{name}/model.safetensors"
    assert not any(a.detect(loader.load_state_dict_from_file(file)) for a in theirs)
    model = loader.load_from_file(file)
    assert isinstance(model, spandrel.ImageModelDescriptor)
    assert model.architecture.id == "NLRN" and model.tiling is spandrel.ModelTiling.INTERNAL
    assert (model.purpose, model.scale, model.input_channels, model.output_channels) == (purpose, scale, 3, 3)
    for x in (image, image[:, :1]):
        restored = model(x)
        network = nlrn.load(name)
        if scale == 1:
            expected = nlrn.denoise(x, model=network, precision="fp32")
        else:
            expected = nlrn.upscale(x, 3, model=network, precision="fp32")
        assert restored.shape == (1, x.shape[1], scale * x.shape[2], scale * x.shape[3])
        assert torch.equal(restored, expected.clamp(0, 1))
        if scale == 1:
            assert (restored - x).abs().mean() > 0.02

arch = nlrn.spandrel.NLRNArch()
state = nlrn.load("sr-lite").state_dict()
assert arch.detect(state)
for key in ("config_code", "tail.weight"):
    assert not arch.detect({k: v for k, v in state.items() if k != key})
assert not arch.detect({**state, "config_code": state["config_code"].float()})
print("all is well")
"""


@pytest.mark.skipif(importlib.util.find_spec("spandrel") is None, reason="spandrel is not installed")
def test_spandrel_loads_and_restores(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y, x = np.mgrid[:40, :52]
    clean = 0.5 + 0.3 * np.sin(np.stack([x / 5, y / 7, (x + y) / 9]))
    np.save(tmp_path / "image.npy", (clean + random.normal(0, 0.1, clean.shape)).clip(0, 1)[None].astype(np.float32))
    for name in ("denoise-gray-lite", "sr-lite"):
        nlrn.save(nlrn.load(name), tmp_path / name)
    command = [sys.executable, "-c", STAND_IN + CODE, str(tmp_path), str(tmp_path / "image.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "all is well\n", done.stderr


def test_where_spandrel_cannot_be_imported_the_remedy_is_said() -> None:
    code = "import sys; sys.modules['spandrel'] = None; import nlrn.spandrel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "install nlrn[spandrel], with the torchvision that belongs to torch" in done.stderr
