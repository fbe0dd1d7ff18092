"""ONNX files compute what the package computes, at any size, or are not written."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import paced

import nlrn
from nlrn import images
from nlrn.cli import main
from nlrn.config import SIMILARITIES
from nlrn.errors import ModelError
from nlrn.evaluation.metrics import psnr
from nlrn.export import TOLERANCE, export, largest_difference
from nlrn.export.network import model_proto
from nlrn.models.cards import SHIPPED, TENSORS
from nlrn.pixels.clipping import Clipping

EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_without_torch.py"
ODD = ((1, 1), (5, 3), (33, 47), (50, 29))


@pytest.mark.parametrize("name", paced(nlrn.list_models()))
def test_what_ships_computes_the_same_in_onnxruntime(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "model.onnx"
    network = nlrn.load(name)
    scale = 3 if network.config.post_upsampling else None
    chosen = ["--scale", "3"] if scale else []
    assert main(["export", name, "-o", str(file), *chosen]) == 0
    assert "verified in onnxruntime at 37 x 53 and 64 x 41: largest difference" in capsys.readouterr().out
    assert largest_difference(network, file, sizes=((31, 17), (23, 60)), batch=3, scale=scale) < 1e-5
    assert file.stat().st_size < 1.5 * (SHIPPED / name / TENSORS).stat().st_size
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("propagate", [True, False])
def test_every_similarity(network, similarity: str, propagate: bool) -> None:
    made = network(similarity=similarity, propagate=propagate)
    assert largest_difference(made, model_proto(made).SerializeToString(), ODD) < 1e-5


@pytest.mark.parametrize(
    "fields",
    [
        {"window": 1},
        {"window": 3, "every": 2},
        {"window": 45, "steps": 2},
        {"every": 0},
        {"groups": 2, "channels": 3},
        {"task": "sr", "noise_map": False, "unshuffle": 2},
        {"channels": 3, "unshuffle": 3},
    ],
)
def test_every_switch(network, fields: dict[str, object]) -> None:
    made = network(**fields)
    assert largest_difference(made, model_proto(made).SerializeToString(), ODD) < 1e-5


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_network_that_enlarges_does_so_in_onnxruntime(network, scale: int) -> None:
    made = network(task="sr", noise_map=False, post_upsampling=True)
    model = model_proto(made, scale)
    assert largest_difference(made, model.SerializeToString(), ODD, scale=scale) < 1e-5
    shape = model.graph.output[0].type.tensor_type.shape
    assert [d.dim_param or d.dim_value for d in shape.dim] == ["batch", 1, f"{scale} * height", f"{scale} * width"]
    assert {entry.key: entry.value for entry in model.metadata_props}["scale"] == str(scale)


def test_the_file_holds_standard_operators_only_and_little_beside_the_weights(network) -> None:
    made = network(steps=12, window=45)
    model = model_proto(made)
    assert {(opset.domain, opset.version) for opset in model.opset_import} == {("", 17)}
    loops = [node for node in model.graph.node if node.op_type == "Loop"]
    assert len(loops) == 12
    nodes = [*model.graph.node, *loops[0].attribute[0].g.node]
    assert {node.domain for node in nodes} == {""}
    weights = 4 * sum(tensor.numel() for tensor in made.state_dict().values())
    assert len(model.SerializeToString()) < weights + 12 * 50_000


def test_height_width_and_batch_are_free(network) -> None:
    graph = model_proto(network()).graph
    assert [[d.dim_param or d.dim_value for d in i.type.tensor_type.shape.dim] for i in graph.input] == [
        ["batch", 1, "height", "width"],
        ["batch"],
    ]


def test_a_wrong_file_is_noticed(network) -> None:
    made = network()
    model = model_proto(made)
    bias = next(t for t in model.graph.initializer if onnx.numpy_helper.to_array(t).shape == (8,))
    bias.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(bias) + 1, bias.name))
    assert largest_difference(made, model.SerializeToString()) > TOLERANCE


def test_what_cannot_be_exported_is_refused(network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = network()
    with torch.no_grad():
        broken.tail.bias.fill_(torch.nan)
    with pytest.raises(ModelError, match="NaN"):
        export(broken, tmp_path / "a.onnx")
    with pytest.raises(ModelError, match="window of 301"):
        export(network(window=301), tmp_path / "a.onnx")
    with pytest.raises(ValueError, match="no scale to choose"):
        export(network(), tmp_path / "a.onnx", scale=2)
    for scale in (None, 5):
        with pytest.raises(ValueError, match=r"say which of 2, 3, 4 it is \(--scale\)"):
            export(network(task="sr", noise_map=False, post_upsampling=True), tmp_path / "a.onnx", scale=scale)
    with pytest.raises(ValueError, match="must end in"):
        export(network(), tmp_path / "a.pt")
    with pytest.raises(FileNotFoundError, match="no folder"):
        export(network(), tmp_path / "missing" / "a.onnx")
    monkeypatch.setattr("nlrn.export.largest_difference", lambda *_, **__: float("nan"))
    with pytest.raises(ModelError, match="something else"):
        export(network(), tmp_path / "a.onnx")
    assert not list(tmp_path.iterdir())


def test_without_onnxruntime_it_says_that_nothing_was_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", "denoise-gray-lite", "-o", str(tmp_path / "a.onnx")]) == 0
    assert "not verified" in capsys.readouterr().out


def test_without_onnx_the_extra_is_named(tmp_path: Path) -> None:
    code = "import sys; sys.modules['onnx'] = None; from nlrn.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", code, "export", "denoise-gray-lite", "-o", str(tmp_path / "a.onnx")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "nlrn: this needs onnx; install nlrn[export]\n"


@pytest.mark.parametrize("colour", [False, True])
def test_the_example_restores_a_whole_picture_without_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, colour: bool
) -> None:
    # the example is the network and no more
    monkeypatch.setattr(Clipping, "undone", lambda self, colours, rows, cols: colours)
    data = pytest.importorskip("skimage.data")
    clean = data.astronaut()[:90, 180:281] if colour else data.camera()[200:290, 200:301]
    noisy = np.rint((clean + np.random.default_rng(0).normal(0, 25, clean.shape)).clip(0, 255)).astype(np.uint8)
    source, target = (tmp_path / f"{name}.{'ppm' if colour else 'pgm'}" for name in ("noisy", "clean"))
    images.write(source, noisy)
    export(nlrn.load("denoise-gray"), tmp_path / "model.onnx")
    blocked = "import sys, runpy; sys.modules['torch'] = sys.modules['nlrn'] = None; runpy.run_path(sys.argv.pop(1))"
    command = [sys.executable, "-c", blocked, EXAMPLE, tmp_path / "model.onnx", source, target, "25"]
    subprocess.run([*map(str, command)], check=True)
    restored = images.read(target).pixels
    if colour:
        expected = np.dstack(
            [nlrn.denoise(np.ascontiguousarray(noisy[..., c]), 25, precision="fp32") for c in range(3)]
        )
    else:
        expected = nlrn.denoise(noisy, 25, precision="fp32")
    assert np.abs(restored.astype(int) - expected).max() <= 1  # a value midway between two levels may go either way
    assert psnr(restored, clean, 255) > psnr(noisy, clean, 255) + 5
    body = EXAMPLE.read_text().split('"""')[2]
    assert len([line for line in body.splitlines() if line.strip()]) <= 20
