"""The benchmark measures forms that do the same, and its results fit into JSON."""

import json

import pytest
import torch

from nlrn.bench import correlation as bench
from nlrn.bench.arithmetic import neighbours
from nlrn.correlation import reference_attention


@pytest.mark.parametrize(("size", "dtype", "tolerance"), [(5, torch.float32, 1e-5), (37, torch.bfloat16, 3e-2)])
@pytest.mark.parametrize("form", ["sdpa", "eager"])
def test_form_does_the_same(form, size, dtype, tolerance):
    q, k, v = (x.detach() for x in bench._inputs(2, 4, 6, size, dtype))
    wanted = reference_attention(q.float(), k.float(), v.float(), 9)
    out = bench._form(form)(q, k, v, 9)
    assert out.dtype == dtype
    torch.testing.assert_close(out.float(), wanted, atol=tolerance, rtol=tolerance)


@pytest.mark.slow  # compiles
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # PyTorch's compiler about PyTorch
def test_flex_does_the_same():
    q, k, v = (x.detach() for x in bench._inputs(1, 16, 16, 32))
    torch.testing.assert_close(bench._flex(q, k, v, 9), reference_attention(q, k, v, 9), atol=1e-5, rtol=1e-5)


def test_results():
    results = bench.correlation(
        size=20, window=5, depths=(8, 16), width=8, forms=["torch", "sdpa", "flex"], repeats=1
    )
    assert json.loads(json.dumps(results)) == results
    measured = {(row["form"], row["depth"], row["direction"]) for row in results["rows"]}
    assert measured == {
        (form, depth, direction)
        for form, directions in (("torch", ("forward", "backward")), ("sdpa", ("forward",)))
        for depth in (8, 16)
        for direction in directions
    }
    assert set(results["left_out"]) == {"flex, D=8", "flex, D=16"}
    best = [
        max(r["ratio"] for r in results["rows"] if r["depth"] == d and r["direction"] == "forward") for d in (8, 16)
    ]
    assert best == [1.0, 1.0]
    text = bench.table(results)
    assert "left out: flex, D=8: flex is compared on images of 16 times a power of two" in text
    assert text.count("backward") == 2


def test_bf16_has_forms_of_its_own():
    results = bench.correlation(size=12, window=5, depths=(8,), width=8, repeats=1, precision="bf16")
    measured = {row["form"] for row in results["rows"]}
    assert {"eager", "torch", "sdpa"} <= measured
    assert results["precision"] == "bf16"
    assert "bf16" in bench.table(results)
    assert "eager" not in bench._forms(torch.float32)
    kernels = {name for name in measured if name in bench.KERNELS}
    assert len(kernels & set(bench._forms(torch.float32))) <= 1


def test_unknown_form_is_left_out_with_its_reason():
    results = bench.correlation(size=8, window=3, depths=(8,), width=8, forms=["sse"], repeats=1)
    assert results["rows"] == []
    assert "not 'sse'" in results["left_out"]["sse, D=8"]


def test_neighbours_counts_the_border():
    assert neighbours(5, 3) == 2 + 3 + 3 + 3 + 2
    assert neighbours(2, 45) == 4
