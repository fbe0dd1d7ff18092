"""The door of the confined correlation and its PyTorch form, against the slow definition."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from nlrn.correlation import confined_attention, propagated_attention, reference_attention
from nlrn.correlation.attention import tiled_attention


def random_inputs(B: int, D: int, M: int, H: int, W: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(B + 3 * D + 5 * M + 7 * H + 11 * W)
    shapes = ((B, D, H, W), (B, D, H, W), (B, M, H, W))
    return [torch.randn(s, generator=generator, dtype=torch.float64).to(dtype).requires_grad_() for s in shapes]


def value_and_gradients(form, inputs: list[Tensor], window: int, normalize: str) -> list[Tensor]:
    out = form(*inputs, window, normalize=normalize)
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, weight)]


def largest_error(got: list[Tensor], wanted: list[Tensor]) -> float:
    """The largest difference, relative to the largest element of each tensor."""
    assert [x.shape for x in got] == [x.shape for x in wanted]
    return max(
        float((a.double() - b).abs().max() / b.abs().max().clamp(min=0.3)) for a, b in zip(got, wanted, strict=True)
    )


@settings(deadline=None, max_examples=30)
@given(
    B=st.integers(1, 3),
    D=st.integers(1, 5),
    M=st.integers(1, 5),
    H=st.integers(1, 15),
    W=st.integers(1, 15),
    window=st.integers(0, 9).map(lambda r: 2 * r + 1),
    normalize=st.sampled_from(["softmax", "mean"]),
    dtype=st.sampled_from([torch.float64, torch.float32, torch.bfloat16]),
)
def test_tiled_is_the_reference(B, D, M, H, W, window, normalize, dtype):
    inputs = random_inputs(B, D, M, H, W, dtype)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    got = value_and_gradients(tiled_attention, inputs, window, normalize)
    assert {x.dtype for x in got} == {dtype}
    wanted = value_and_gradients(reference_attention, exact, window, normalize)
    value, gradients = {torch.float64: (1e-12, 1e-12), torch.float32: (1e-5, 1e-5), torch.bfloat16: (2e-2, 5e-2)}[
        dtype
    ]
    assert largest_error(got[:1], wanted[:1]) < value
    assert largest_error(got[1:], wanted[1:]) < gradients


@pytest.mark.parametrize("normalize", ["softmax", "mean"])
def test_gradcheck(normalize):
    # larger than a tile in both directions, so that gradients of keys come from several tiles
    inputs = random_inputs(1, 2, 2, 13, 14)
    assert torch.autograd.gradcheck(lambda *x: confined_attention(*x, 5, normalize=normalize), inputs, fast_mode=True)


@pytest.mark.parametrize("normalize", ["softmax", "mean"])
def test_several_tiles_and_images(normalize):
    inputs = random_inputs(2, 4, 3, 19, 26)
    got = value_and_gradients(tiled_attention, inputs, 7, normalize)
    assert largest_error(got, value_and_gradients(reference_attention, inputs, 7, normalize)) < 1e-12


def test_any_strides():
    q, k, v = (x.detach() for x in random_inputs(2, 4, 6, 9, 8, torch.float32))
    strided = [x.transpose(2, 3).contiguous().transpose(2, 3) for x in (q, k, v)]
    sliced = [torch.cat([x, x], 3)[..., 3:-5].flip(3).flip(3) for x in (q, k, v)]
    last = [x.contiguous(memory_format=torch.channels_last) for x in (q, k, v)]
    plain = confined_attention(q, k, v, 5)
    torch.testing.assert_close(confined_attention(*strided, 5), plain, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(confined_attention(*last, 5), plain, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(
        confined_attention(*sliced, 5),
        confined_attention(*(x.contiguous() for x in sliced), 5),
        atol=1e-6,
        rtol=1e-6,
    )


@pytest.mark.parametrize("form", [confined_attention, tiled_attention])
def test_large_logits_neither_overflow_nor_lose_the_sum(form):
    q, k, v = (x.detach() for x in random_inputs(1, 8, 4, 8, 8, torch.float32))
    out = form(q * 50, k * 50, v, 7)
    wanted = reference_attention(q.double() * 50, k.double() * 50, v.double(), 7)
    assert out.isfinite().all()
    assert largest_error([out], [wanted]) < 2e-3  # float32 logits in the thousands


def test_memory_grows_with_the_pixels_only():
    """No tensor that autograd keeps is larger than the image times its channels."""
    kept: list[int] = []
    inputs = random_inputs(1, 4, 4, 60, 60, torch.float32)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: (kept.append(x.numel()), x)[1], lambda x: x):
        confined_attention(*inputs, 21).sum().backward()
    assert kept
    assert max(kept) <= 4 * 60 * 60


@pytest.mark.parametrize("normalize", ["softmax", "mean"])
def test_carried_logits_are_added_before_the_normalization(normalize):
    """Against the sum of maps written out, for an image small enough that everyone sees everyone."""
    steps = [[x.detach() for x in random_inputs(2, 3 + t, 5, 4, 4)] for t in range(3)]
    logits = torch.zeros(2, 16, 16, dtype=torch.float64)
    carried = None
    for q, k, v in steps:
        out, carried = propagated_attention(q, k, v, 9, carried, normalize=normalize)
        logits = logits + q.flatten(2).transpose(1, 2) @ k.flatten(2)
        weights = logits.softmax(2) if normalize == "softmax" else logits / 16
        wanted = (weights @ v.flatten(2).transpose(1, 2)).transpose(1, 2).reshape_as(v)
        torch.testing.assert_close(out, wanted)


def test_carried_logits_pass_gradients_to_earlier_steps():
    first, second = random_inputs(1, 3, 2, 5, 6), random_inputs(1, 2, 2, 5, 6)

    def two_steps(q, k, q2, k2, v2):
        _, carried = propagated_attention(q, k, v2, 3)
        return propagated_attention(q2, k2, v2, 3, carried)[0]

    assert torch.autograd.gradcheck(two_steps, (*first[:2], *second), fast_mode=True)


@pytest.mark.parametrize(
    ("shapes", "window", "normalize", "message"),
    [
        ([(1, 2, 3, 3), (1, 3, 3, 3), (1, 2, 3, 3)], 3, "softmax", "must be"),
        ([(1, 2, 3, 3), (1, 2, 3, 3), (2, 2, 3, 3)], 3, "softmax", "must be"),
        ([(1, 2, 3, 3), (1, 2, 3, 3), (1, 2, 3, 4)], 3, "softmax", "must be"),
        ([(2, 3, 3), (2, 3, 3), (2, 3, 3)], 3, "softmax", "must be"),
        ([(1, 2, 3, 3)] * 3, 4, "softmax", "window"),
        ([(1, 2, 3, 3)] * 3, -1, "softmax", "window"),
        ([(1, 2, 3, 3)] * 3, 3, "sum", "normalize"),
    ],
)
def test_wrong_arguments_are_refused(shapes, window, normalize, message):
    q, k, v = (torch.zeros(s) for s in shapes)
    with pytest.raises(ValueError, match=message):
        confined_attention(q, k, v, window, normalize=normalize)
