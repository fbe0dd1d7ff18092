"""Every implementation that this machine can run, against the definition; and the operator around the kernels."""

import dataclasses
import os
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import mock

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from nlrn import correlation
from nlrn.correlation import (
    LogitsInPlace,
    attention,
    confined_attention,
    dispatch,
    forms,
    kernels,
    propagated_attention,
    reference_attention,
    selftest,
)
from nlrn.correlation.attention import tiled_attention
from nlrn.network import NLRN, Config, NonLocalBlock

KERNELS = [name for name in correlation.available() if name in kernels.KERNELS]
NONE = [pytest.param("none", marks=pytest.mark.skip("not built"))]


def or_skipped(kernel: str):
    why = dispatch.obstacle(kernel)
    return kernel if why is None else pytest.param(kernel, marks=pytest.mark.skip(f"no {kernel}: {why}"))


each_kernel = pytest.mark.parametrize("kernel", list(map(or_skipped, kernels.KERNELS)))
# what lies around the kernels is the same for all that multiply the same type
SOME = list({kernels.KERNELS[name].dtype: name for name in reversed(KERNELS)}.values())
one_kernel = pytest.mark.parametrize("kernel", SOME or NONE)
# of values and gradients, relative to the largest element
TOLERANCES = {torch.float32: (1e-5, 1e-4), torch.bfloat16: (2e-2, 5e-2)}
NAMES = ["value", "dq", "dk", "dv"]


@pytest.fixture
def forced(kernel):
    with mock.patch.dict(os.environ, {dispatch.VARIABLE: kernel}):
        yield kernel


@pytest.fixture
def mapped(forced):
    """A kernel that goes by way of a map of logits from the third step on."""
    some = {forced: dataclasses.replace(kernels.KERNELS[forced], concatenated=2)}
    with mock.patch.dict(kernels.KERNELS, some):
        yield forced


def random_inputs(kernel: str, B: int, D: int, M: int, H: int, W: int, scale: float = 1.0) -> list[Tensor]:
    """q, k and v in the type that the kernel multiplies."""
    generator = torch.Generator().manual_seed(B + 3 * D + 5 * M + 7 * H + 11 * W)
    q, k, v = (torch.randn(B, C, H, W, generator=generator) for C in (D, D, M))
    return [x.to(kernels.KERNELS[kernel].dtype).requires_grad_() for x in (q * scale, k * scale, v)]


def value_and_gradients(form, inputs: list[Tensor], window: int) -> list[Tensor]:
    out = form(*inputs, window)
    weight = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, inputs, weight)]


def assert_close(
    got: list[Tensor],
    inputs: list[Tensor],
    window: int,
    definition=reference_attention,
    like: torch.dtype | None = None,
) -> None:
    """``got`` is what float64 makes of the same inputs, as nearly as ``like`` (by default their own dtype) allows."""
    wanted = value_and_gradients(definition, [x.detach().double().requires_grad_() for x in inputs], window)
    for name, a, b in zip(NAMES, got, wanted, strict=True):
        assert a.shape == b.shape
        assert a.dtype == inputs[0].dtype
        error = float((a.double() - b).abs().max() / b.abs().max().clamp(min=1))
        assert error < TOLERANCES[like or a.dtype][name != "value"], name


@each_kernel
@settings(deadline=None, max_examples=15)
@given(
    B=st.integers(1, 3),
    D=st.integers(1, 40),
    M=st.integers(1, 40),
    H=st.integers(1, 11),
    W=st.integers(1, 11),
    window=st.integers(0, 6).map(lambda r: 2 * r + 1),
)
# images of one pixel: PyTorch gives their dimensions of one any stride
@example(B=2, D=16, M=16, H=1, W=1, window=1)
@example(B=2, D=16, M=17, H=3, W=1, window=3)
@example(B=2, D=17, M=16, H=1, W=3, window=3)
def test_kernel_is_the_reference(kernel, B, D, M, H, W, window):
    inputs = random_inputs(kernel, B, D, M, H, W, scale=0.5)
    with mock.patch.dict(os.environ, {dispatch.VARIABLE: kernel}):
        got = value_and_gradients(confined_attention, inputs, window)
    assert_close(got, inputs, window)


@each_kernel
@pytest.mark.parametrize(
    ("sizes", "window"),
    [
        ((2, 64, 64, 33, 33), 15),  # what training asks for
        ((1, 64, 128, 48, 50), 45),  # the paper's network
        ((1, 16, 16, 2, 600), 999),  # one row of keys is longer than a chunk
        ((1, 16, 16, 150, 4), 9),  # several parts and units
        ((1, 16, 16, 70, 70), 3),
        ((1, 768, 16, 9, 9), 7),  # many steps carried
        ((1, 48, 80, 21, 23), 45),  # keys of a row are odd in number, channels no multiple of 32
        ((8, 24, 8, 20, 13), 5),  # as many images as share out the work
    ],
)
def test_larger_images(forced, sizes, window):
    # tiled_attention in float64 is the reference's equal (test_correlation.py), and quicker
    inputs = random_inputs(forced, *sizes, scale=0.3)
    assert_close(value_and_gradients(confined_attention, inputs, window), inputs, window, tiled_attention)


def propagated(form, inputs: list[Tensor], window: int) -> tuple[list[Tensor], list[Tensor]]:
    """What four recurrent steps attend, and the gradients of all that goes into them."""
    outs = form([inputs[i : i + 3] for i in range(0, len(inputs), 3)], window)
    weights = [torch.linspace(-1, 1, out.numel(), dtype=torch.float64).view(out.shape).to(out.dtype) for out in outs]
    return [out.detach() for out in outs], list(torch.autograd.grad(outs, inputs, weights))


def by_the_door(steps: list[list[Tensor]], window: int) -> list[Tensor]:
    outs, carried = [], None
    for q, k, v in steps:
        out, carried = propagated_attention(q, k, v, window, carried)
        outs.append(out)
    return outs


def by_concatenation(steps: list[list[Tensor]], window: int) -> list[Tensor]:
    return [
        tiled_attention(
            torch.cat([q for q, _, _ in steps[: t + 1]], 1),
            torch.cat([k for _, k, _ in steps[: t + 1]], 1),
            v,
            window,
        )
        for t, (_, _, v) in enumerate(steps)
    ]


@each_kernel
@pytest.mark.parametrize(
    ("sizes", "window"),
    [
        ((2, 24, 40, 33, 41), 15),
        ((1, 64, 128, 26, 25), 45),  # the paper's network
        ((1, 16, 16, 150, 21), 9),  # several parts and units
        ((9, 16, 16, 70, 9), 7),  # as many images as share out the work
        ((1, 16, 16, 2, 600), 999),  # one row of keys is longer than a chunk
        ((2, 5, 3, 1, 1), 3),
    ],
)
def test_a_map_of_logits_is_the_sum_of_all_steps(mapped, sizes, window):
    B, D, M, H, W = sizes
    inputs = [
        x.detach().requires_grad_()
        for t in range(4)
        for x in random_inputs(mapped, B, D, M, H, W, scale=0.3 + 0.1 * t)
    ]
    outs, gradients = propagated(by_the_door, inputs, window)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    wanted, wanted_gradients = propagated(by_concatenation, exact, window)
    value, gradient = TOLERANCES[inputs[0].dtype]
    for a, b in zip(outs, wanted, strict=True):
        assert (a - b).abs().max() < value * b.abs().max()
    for a, b in zip(gradients, wanted_gradients, strict=True):
        assert a.dtype == inputs[0].dtype
        assert (a - b).abs().max() <= gradient * b.abs().max().clamp(min=1)


@each_kernel
@torch.inference_mode()
def test_a_map_in_place_is_the_same_map(mapped):
    steps = [[x.detach() for x in random_inputs(mapped, 2, 16, 32, 40, 37, scale=0.2 + 0.1 * t)] for t in range(6)]
    logits = LogitsInPlace(
        steps[0][2].shape, steps[0][2].dtype, 11, lambda count: torch.full((count,), 255, dtype=torch.uint8)
    )
    for (q, k, v), wanted in zip(steps, by_the_door(steps, 11), strict=True):
        there = torch.randn_like(v)
        got = there.clone()
        logits.attend(q, k, v, got, last=False)
        # its map is of halves where what is multiplied is
        torch.testing.assert_close(got, there + wanted, rtol=0, atol={torch.float32: 1e-5}.get(v.dtype, 4e-2))


@each_kernel
@pytest.mark.parametrize("scale", [0.3, 6.0])  # the second so large that weights are reckoned from the largest logit
@pytest.mark.parametrize("calls", [1, 3])
@torch.inference_mode()
def test_the_last_call_spares_the_map(mapped, calls, scale):
    steps = [[x.detach() for x in random_inputs(mapped, 2, 16, 32, 40, 37, scale=scale)] for _ in range(calls)]
    wanted = by_the_door(steps, 11)[-1]
    changed, errors = [], []
    for spared in (False, True):
        logits = LogitsInPlace(steps[0][2].shape, steps[0][2].dtype, 11, lambda n: torch.zeros(n, dtype=torch.uint8))
        for t, (q, k, v) in enumerate(steps):
            before, got = logits.map.clone(), torch.zeros_like(v)
            logits.attend(q, k, v, got, last=spared and t == calls - 1)
        changed.append(not torch.equal(logits.map, before))
        errors.append((got - wanted).abs().max())
    assert changed == [True, False]
    assert errors[1] <= errors[0] + 1e-5  # halves of large logits are coarse, so what is spared may be better


@each_kernel
def test_a_map_gives_the_same_bits_for_any_number_of_threads(mapped):
    inputs = [x for t in range(4) for x in random_inputs(mapped, 2, 16, 16, 70, 21, scale=0.2 + 0.1 * t)]
    threads, results = torch.get_num_threads(), []
    try:
        for n in (1, 2, 3):
            torch.set_num_threads(n)
            outs, gradients = propagated(by_the_door, inputs, 9)
            results.append([*outs, *gradients])
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@one_kernel
def test_a_map_is_read_only_by_those_who_can(mapped):
    """A step of another window, or by another kernel, starts from the queries and keys again."""
    steps = [[x.detach() for x in random_inputs(mapped, 1, 8, 16, 12, 13, scale=0.2 + 0.1 * t)] for t in range(4)]
    carried = None
    for q, k, v in steps[:3]:
        _, carried = propagated_attention(q, k, v, 9, carried)
    assert carried.map is not None
    q, k, v = steps[3]
    for window, kernel in ((5, mapped), (9, "torch"), (9, "portable")):
        with mock.patch.dict(os.environ, {dispatch.VARIABLE: kernel}):
            got, _ = propagated_attention(q, k, v, window, carried)
        wanted = by_concatenation([[x.double() for x in step] for step in steps], window)[3]
        assert (got - wanted).abs().max() < TOLERANCES[v.dtype][0] * wanted.abs().max()


@one_kernel
def test_a_map_that_would_be_huge_is_not_made(mapped, monkeypatch):
    steps = [[x.detach() for x in random_inputs(mapped, 1, 8, 16, 12, 13, scale=0.3)] for t in range(3)]
    wanted = by_the_door(steps, 99)[-1]
    monkeypatch.setattr(attention, "attend_with_map", None)
    size = kernels.KERNELS[mapped].dtype.itemsize * (12 * 13) ** 2
    monkeypatch.setattr(forms, "_LARGEST_MAP", size - 1)
    got = by_the_door(steps, 99)[-1]
    assert (got.double() - wanted).abs().max() < TOLERANCES[got.dtype][0] * wanted.abs().max()
    monkeypatch.setattr(forms, "_LARGEST_MAP", size)
    with pytest.raises(TypeError):  # it would have been made
        by_the_door(steps, 99)


@each_kernel
def test_strong_logits(forced):
    """Weights from 1 down to far below the smallest float."""
    inputs = random_inputs(forced, 1, 16, 16, 20, 20, scale=5.0)
    got = value_and_gradients(confined_attention, inputs, 11)
    assert all(x.isfinite().all() for x in got)
    # logits of some hundreds have only five decimals in float32
    tolerance = max(1e-3, TOLERANCES[inputs[0].dtype][0])
    exact = tiled_attention(*(x.detach().double() for x in inputs), 11)
    torch.testing.assert_close(got[0].double(), exact, atol=tolerance, rtol=tolerance)


@each_kernel
def test_rounded_weights_still_add_up_to_one(forced):
    """The sum that they are divided by is that of the rounded weights, so nothing is lost on the average."""
    q, k, v = (x.detach() for x in random_inputs(forced, 1, 16, 16, 30, 30, scale=0.1))
    out = confined_attention(q, k, torch.ones_like(v), 21)
    # bf16 has nothing between 1 and 1 - 2^-8
    torch.testing.assert_close(out, torch.ones_like(out), atol=1e-5, rtol=0)


@each_kernel
@pytest.mark.parametrize("which", [0, 1, 2])
def test_not_a_number_is_not_hidden(forced, which):
    inputs = [x.detach() for x in random_inputs(forced, 2, 16, 16, 40, 40)]
    inputs[which][0, :, 20, 20] = torch.nan
    bad = confined_attention(*inputs, 5).isnan().any(1)
    reach = 0 if which == 0 else 2
    assert bad[0, 20 - reach : 21 + reach, 20 - reach : 21 + reach].all()
    # a pixel of the same tile may see one key too many, with weight 0: 0 * nan is nan
    bad[0, 12:29, 12:29] = False
    assert not bad.any()


@one_kernel
def test_channels_last_slices_need_no_copy(forced):
    wide = torch.randn(2, 9, 10, 16 + 16 + 32).to(kernels.KERNELS[forced].dtype)
    q, k, v = (x.permute(0, 3, 1, 2) for x in wide.split([16, 16, 32], 3))
    for part in (q, k, v):
        assert kernels._pixel_major(part).data_ptr() == part.data_ptr()
    out = confined_attention(q, k, v, 5)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, confined_attention(q.contiguous(), k.contiguous(), v.contiguous(), 5))


@one_kernel
@pytest.mark.parametrize(("channels", "first"), [(49, 1), (50, 1), (49, 0)])
def test_any_slice_of_a_wider_image(forced, channels, first):
    """Also where the channels do not begin or repeat at whole words."""
    wide = torch.randn(1, 6, 7, channels).to(kernels.KERNELS[forced].dtype).permute(0, 3, 1, 2)
    q, k, v = (wide[:, first + at : first + at + 16] for at in (0, 16, 32))
    torch.testing.assert_close(
        confined_attention(q, k, v, 5), confined_attention(q.contiguous(), k.contiguous(), v.contiguous(), 5)
    )


@each_kernel
def test_the_same_bits_every_time_and_for_any_number_of_threads(forced):
    inputs = random_inputs(forced, 3, 32, 16, 70, 30)
    threads = torch.get_num_threads()
    results = []
    try:
        for n in (1, 2, 3, 2):
            torch.set_num_threads(n)
            results.append(value_and_gradients(confined_attention, inputs, 15))
    finally:
        torch.set_num_threads(threads)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@each_kernel
def test_denormals_stay_with_the_kernel(forced):
    tiny = torch.full((1,), 1e-40)
    confined_attention(*(x.detach() for x in random_inputs(forced, 1, 16, 16, 8, 8)), 3)
    assert (tiny * 1.0).item() > 0


@one_kernel
def test_operator_is_sound(forced):
    """Its fake form, autograd and functionalization, by PyTorch's own checks."""
    inputs = random_inputs(forced, 1, 5, 3, 6, 7)
    for form in (forced, "torch"):
        torch.library.opcheck(torch.ops.nlrn.confined_attention.default, (*inputs, 3, "softmax", form))


@one_kernel
def test_empty_batch(forced):
    q, k, v = torch.zeros(0, 4, 3, 3), torch.zeros(0, 4, 3, 3), torch.zeros(0, 2, 3, 3)
    assert confined_attention(q, k, v, 3).shape == (0, 2, 3, 3)


class Step(torch.nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return confined_attention(q * 2, k, v, 3) + v


@one_kernel
def test_compile_without_a_break(forced):
    inputs = random_inputs(forced, 1, 16, 16, 6, 7)
    compiled = torch.compile(Step(), fullgraph=True, backend="aot_eager")
    for a, b in zip(
        value_and_gradients(lambda q, k, v, _: compiled(q, k, v), inputs, 3),
        value_and_gradients(lambda q, k, v, _: Step()(q, k, v), inputs, 3),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_network_has_no_break_and_computes_the_same(training):
    torch.manual_seed(0)
    network = NLRN(Config(steps=4, filters=4, embedding=2, window=3)).train(training)
    for parameter in network.parameters():
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.1)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    x = torch.rand(2, 1, 7, 6)
    gradients = []
    for form in (network, compiled):
        out = form(x)
        gradients.append([out, *torch.autograd.grad(out.square().sum(), list(network.parameters()))])
    # the fourth step goes by a map of logits here and by concatenation there
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


def test_a_compiled_function_has_its_tangents():
    q, moved = torch.randn(2, 1, 2, 5, 6)

    def tangent(q: Tensor) -> Tensor:
        return torch.func.jvp(lambda x: confined_attention(x, x, x, 3), (q,), (moved,))[1]

    with warnings.catch_warnings(action="ignore"):  # what the compiler does not look into
        found = torch.compile(tangent, backend="aot_eager")(q)
    torch.testing.assert_close(found, tangent(q))


def test_what_records_operators_sees_this_one():
    """Tracing, and tensors without memory: nothing is taken for a constant."""
    q, other = torch.randn(2, 1, 2, 5, 6)

    def form(x: Tensor) -> Tensor:
        return confined_attention(x, x, x, 3)

    recorded = make_fx(form)(q)
    assert torch.ops.nlrn.confined_attention.default in {node.target for node in recorded.graph.nodes}
    torch.testing.assert_close(recorded(other), form(other))
    with FakeTensorMode() as fake:
        assert form(fake.from_tensor(q)).shape == q.shape
    assert form(q.to("meta")).shape == q.shape


@pytest.mark.parametrize("form", ["torch", *SOME])
def test_autocast_around_the_call_changes_nothing(monkeypatch, form):
    """The inputs say what is computed; their conversion is the caller's affair."""
    monkeypatch.setenv(dispatch.VARIABLE, form)
    inputs = [x.requires_grad_() for x in torch.randn(3, 1, 4, 6, 7)]
    wanted = value_and_gradients(confined_attention, inputs, 5)
    with torch.autocast("cpu", torch.bfloat16):
        got = value_and_gradients(confined_attention, inputs, 5)
    assert all(torch.equal(a, b) for a, b in zip(got, wanted, strict=True))


def test_another_default_type_changes_nothing():
    steps = [[x.requires_grad_() for x in torch.randn(3, 1, 4, 6, 7)] for _ in range(4)]
    flat = [x for step in steps for x in step]
    wanted = propagated(by_the_door, flat, 5)
    torch.set_default_dtype(torch.float64)
    try:
        got = propagated(by_the_door, flat, 5)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(
        torch.equal(a, b) for some, others in zip(got, wanted, strict=True) for a, b in zip(some, others, strict=True)
    )


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_what_is_no_real_number_is_refused(dtype):
    x = torch.ones(1, 2, 3, 3, dtype=dtype)
    with pytest.raises(ValueError, match="must be floating point"):
        confined_attention(x, x, x, 3)


def test_denoising_loads_no_compiler(tmp_path):
    """torch._dynamo alone costs a second and 71 MB."""
    program = (
        "import sys, numpy, nlrn; nlrn.denoise(numpy.full((24, 25), 100, numpy.uint8), 20); "
        "print([name for name in ('torch._dynamo', 'torch._inductor', 'sympy') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert shown.stdout.strip() == "[]"


@one_kernel
def test_export_for_any_size(forced):
    inputs = tuple(x.detach() for x in random_inputs(forced, 1, 16, 16, 6, 7))
    sizes = {2: torch.export.Dim("H", min=2, max=99), 3: torch.export.Dim("W", min=2, max=99)}
    program = torch.export.export(Step(), inputs, dynamic_shapes=(sizes, sizes, sizes))
    other = [x.detach() for x in random_inputs(forced, 1, 16, 16, 9, 12)]
    torch.testing.assert_close(program.module()(*other), Step()(*other))


def test_choice_by_name(monkeypatch):
    q = torch.zeros(1, 2, 3, 3)
    for name in correlation.available():
        monkeypatch.setenv(dispatch.VARIABLE, name)
        assert correlation.implementation(q, q, q) == name
        assert correlation.describe().startswith(name)
    monkeypatch.setenv(dispatch.VARIABLE, "sse")
    with pytest.raises(ValueError, match="NLRN_CORRELATION"):
        confined_attention(q, q, q, 3)


def test_choice_names_the_obstacle(monkeypatch):
    q = torch.zeros(1, 2, 3, 3)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    assert correlation.implementation(q, q, q) in ("portable", "torch")
    assert "not avx512: this processor has DEFAULT" in correlation.describe()
    monkeypatch.setenv(dispatch.VARIABLE, "avx2")
    with pytest.raises(RuntimeError, match="DEFAULT"):
        confined_attention(q, q, q, 3)


def test_without_kernels_pytorch_does_it(monkeypatch):
    q = torch.randn(1, 2, 3, 3)
    monkeypatch.setattr(kernels, "load", lambda kernel: None)
    assert correlation.implementation(q, q, q) == "torch"
    assert "not portable: it was not built" in correlation.describe()
    torch.testing.assert_close(confined_attention(q, q, q, 3), reference_attention(q, q, q, 3))


@one_kernel
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_types_are_converted(forced, dtype):
    inputs = [x.detach().to(dtype).requires_grad_() for x in random_inputs(forced, 1, 16, 16, 9, 9)]
    assert correlation.implementation(*inputs) == forced
    assert_close(value_and_gradients(confined_attention, inputs, 5), inputs, 5, like=torch.bfloat16)


def test_kernels_of_halves_are_for_halves(monkeypatch):
    q = torch.zeros(1, 2, 3, 3)
    half = q.bfloat16()
    single = correlation.implementation(q, q, q)
    assert single not in kernels.KERNELS or kernels.KERNELS[single].dtype == torch.float32
    # keys that someone thought worth 32 bits keep them
    assert correlation.implementation(half, q, half) == single
    assert correlation.implementation(q.half(), q.half(), q.half()) == single
    halves = [name for name in KERNELS if kernels.KERNELS[name].dtype == torch.bfloat16]
    if halves and kernels.drawback(halves[0]) is None:
        assert correlation.implementation(half, half, half) == halves[0]
        assert f"in bf16 {halves[0]} (fastest that runs here" in correlation.describe()
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": False})
    monkeypatch.setattr(selftest, "failure", lambda kernel: None)  # this processor could not run them
    assert correlation.implementation(half, half, half) == correlation.implementation(q, q, q)
    assert "not avx512bf16: this processor has no avx512_bf16" in correlation.describe()
    assert "not amxbf16: this processor has no amx_bf16" in correlation.describe()


def everything(monkeypatch, **instructions: bool) -> None:
    """A processor with AVX-512 and these instructions, for which all kernels were built."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: instructions)
    monkeypatch.setattr(kernels, "load", lambda kernel: mock.Mock())
    monkeypatch.setattr(selftest, "failure", lambda kernel: None)


@pytest.mark.parametrize(
    ("instructions", "permitted", "chosen"),
    [
        ({"avx512_bf16": True}, True, "avx512bf16"),
        ({"avx512_bf16": True, "amx_bf16": True, "amx_tile": True}, True, "amxbf16"),
        # measured beside a matrix unit: halves without it are slower than floats
        ({"avx512_bf16": True, "amx_bf16": True, "amx_tile": True}, False, "avx512"),
        ({}, True, "avx512"),
    ],
)
def test_halves_go_where_they_were_measured_to_be_fast(monkeypatch, instructions, permitted, chosen):
    everything(monkeypatch, **instructions)
    monkeypatch.setattr(kernels, "load", lambda kernel: mock.Mock(nlrn_permitted=lambda: permitted))
    assert dispatch.form_for(torch.bfloat16) == chosen
    assert dispatch.form_for(torch.float32) == "avx512"
    if not permitted:
        assert "not amxbf16: the system does not permit it" in correlation.describe()
        assert "not avx512bf16: slower than float32 on processors with amx_bf16" in correlation.describe()


@one_kernel
def test_a_kernel_that_computes_something_else_is_passed_over_with_a_warning(kernel, monkeypatch):
    right = kernels.load(kernel)

    class Wrong:
        def __getattr__(self, name: str):
            return getattr(right, name)

        def nlrn_attention_backward(self, *arguments: object) -> int:
            return 0  # and has written nothing

    monkeypatch.setattr(kernels, "load", lambda name: Wrong() if name == kernel else None)
    selftest.failure.cache_clear()
    try:
        with pytest.warns(RuntimeWarning, match=f"{kernel} is passed over: it fails its self-test here"):
            assert kernel not in correlation.available()
        assert f"not {kernel}: it fails its self-test" in correlation.describe()
        q = torch.randn(1, 2, 3, 3)
        torch.testing.assert_close(confined_attention(q, q, q, 3), reference_attention(q, q, q, 3))
    finally:
        selftest.failure.cache_clear()


@pytest.mark.parametrize("training", [True, False])
def test_autocast_asks_for_the_kernel_of_halves(training):
    block, asked = NonLocalBlock(16, window=5).train(training), []

    def choose(*inputs: Tensor, normalize: str) -> str:
        asked.append(dispatch.implementation(*inputs, normalize=normalize))
        return asked[-1]

    features = torch.randn(2, 16, 9, 9)
    with mock.patch.object(attention, "implementation", choose), torch.autocast("cpu", torch.bfloat16):
        block(features).sum().backward()
    half = features.bfloat16()
    assert asked == [correlation.implementation(half, half, half)]
    assert block.g.weight.grad.dtype == torch.float32


def test_what_kernels_do_not_cover():
    q = torch.zeros(1, 2, 3, 3)
    assert correlation.implementation(q.double(), q.double(), q.double()) == "torch"
    assert correlation.implementation(q, q, q, normalize="mean") == "torch"


@pytest.mark.slow
def test_install_without_a_compiler(tmp_path):
    """The wheel is built all the same, and says what is missing."""
    root = Path(__file__).parents[1]
    built = subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "-v", "-w", tmp_path, root],
        env={**os.environ, "CC": "/bin/false", "CXX": "/bin/false"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nlrn.correlation._avx512" in built.stdout + built.stderr
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", target, *tmp_path.glob("*.whl")]
    subprocess.run(install, check=True, capture_output=True)
    program = "import nlrn.correlation as c; print(c.__file__); print(c.describe())"
    shown = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(target)}, cwd=tmp_path,
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert str(target) in shown
    assert "torch (not avx512: it was not built" in shown or "torch (not avx512: this processor" in shown
