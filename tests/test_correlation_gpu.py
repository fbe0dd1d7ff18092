"""The programs of a GPU against the definition: on a GPU where there is one, and otherwise interpreted on the CPU."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlrn.correlation import dispatch, forms, gpu, reference_attention
from nlrn.correlation.attention import confined_attention
from nlrn.correlation.operator import attend, attend_with_map

pytest.importorskip("triton")
# what lies beyond the image has no neighbours, and a mean of nothing is not stored
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# the interpreter multiplies no bf16
DTYPE = torch.bfloat16 if DEVICE == "cuda" else torch.float16
TOLERANCE = 2e-2 if DEVICE == "cuda" else 1e-2  # the gradients of a map are bf16 everywhere
NAMES = ("value", "dq", "dk", "dv")


def step(seed, B, D, M, H, W, *, spread=1.0):
    """Queries, keys, values and a gradient, of the type that is multiplied."""
    generator = torch.Generator().manual_seed(seed)
    scales = ((D, spread * D**-0.5), (D, 1.0), (M, 1.0), (M, 1.0))
    made = (torch.randn(B, C, H, W, generator=generator).mul(scale) for C, scale in scales)
    return [x.to(DEVICE, DTYPE).to(memory_format=torch.channels_last) for x in made]


def assert_near(found, wanted, name=""):
    error = (found.double() - wanted.double()).abs().max() / wanted.abs().max().clamp(min=1e-3)
    assert error < TOLERANCE, (name, float(error))


def by_definition(steps, window):
    """Values of every step and the gradients of all inputs, in float64; the logits of earlier steps are added."""
    inputs = [[x.double().requires_grad_() for x in one[:3]] for one in steps]
    values = []
    for t, (_, _, v) in enumerate(inputs):
        q, k = (torch.cat([one[i] for one in inputs[: t + 1]], 1) for i in (0, 1))
        values.append(reference_attention(q, k, v, window))
    torch.autograd.backward(values, [one[3].double() for one in steps])
    return values, [[x.grad for x in one] for one in inputs]


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((2, 16, 16, 9, 18), 5),  # tiles that are not full
        ((1, 32, 64, 8, 8), 45),  # a window that sees all there is
        ((1, 5, 24, 17, 3), 7),  # channels that are filled up
        ((1, 16, 16, 1, 1), 3),
        ((1, 16, 16, 12, 20), 1),  # every pixel sees itself alone
    ],
)
def test_values_and_gradients(size, window):
    q, k, v, grad = step(0, *size)
    found = [x.detach().requires_grad_() for x in (q, k, v)]
    out = attend(*found, window, form=forms.GPU)
    out.backward(grad)
    (wanted,), (gradients,) = by_definition([(q, k, v, grad)], window)
    assert out.is_contiguous(memory_format=torch.channels_last)
    for name, got, exact in zip(NAMES, (out, *(x.grad for x in found)), (wanted, *gradients), strict=True):
        assert got.dtype == DTYPE
        assert_near(got, exact, name)


@settings(max_examples=8, deadline=None)
@given(st.tuples(*(st.integers(1, most) for most in (2, 20, 20, 18, 18))), st.sampled_from([1, 3, 9, 31]))
def test_values_of_any_size(size, window):
    q, k, v, _ = step(1, *size)
    assert_near(gpu.forward(q, k, v, window)[0], reference_attention(q.double(), k.double(), v.double(), window))


def test_long_queries_are_multiplied_in_chunks():
    q, k, v, _ = step(2, 1, 3 * gpu._CHUNK, 16, 8, 11)
    assert_near(gpu.forward(q, k, v, 9)[0], reference_attention(q.double(), k.double(), v.double(), 9))


def test_strong_logits():
    q, k, v, _ = step(3, 1, 16, 16, 9, 9, spread=30.0)
    assert_near(gpu.forward(q, k, v, 5)[0], reference_attention(q.double(), k.double(), v.double(), 5))


@pytest.mark.parametrize("window", [5, 25])
def test_steps_by_a_map(window):
    steps = [step(t, 2, 16, 32, 11, 10, spread=0.5) for t in range(3)]
    inputs = [[x.detach().requires_grad_() for x in one[:3]] for one in steps]
    values, logits = [], None
    for t, (_, _, v) in enumerate(inputs):
        queries, keys = (tuple(one[i] for one in inputs[: t + 1]) for i in (0, 1))
        out, logits = attend_with_map(queries, keys, v, logits, window, forms.GPU)
        values.append(out)
    torch.autograd.backward(values, [one[3] for one in steps])
    wanted, gradients = by_definition(steps, window)
    for t, (out, exact) in enumerate(zip(values, wanted, strict=True)):
        assert_near(out, exact, f"value {t}")
    for t, (found, exact) in enumerate(zip(inputs, gradients, strict=True)):
        for name, got, right in zip(NAMES[1:], found, exact, strict=True):
            assert_near(got.grad, right, f"{name} {t}")


def test_slices_of_one_tensor_are_read_and_written_in_place():
    wide = torch.cat(step(4, 1, 16, 32, 9, 10)[:3], 1).contiguous(memory_format=torch.channels_last)
    parts = (wide[:, :16], wide[:, 16:32], wide[:, 32:])
    grad = torch.ones_like(parts[2])
    after = torch.empty(gpu.map_size(parts[2].shape), dtype=DTYPE, device=DEVICE)
    out, lse = gpu.map_forward(*parts, None, after, 7)
    found = torch.full_like(wide, torch.nan)
    into = (found[:, :16], found[:, 16:32], found[:, 32:])
    gpu.map_backward((grad, *parts, out), lse, after, None, None, 7, into)
    _, ((dq, dk, dv),) = by_definition([(*parts, grad)], 7)
    assert_near(found, torch.cat([dq, dk, dv], 1))


def test_gradients_of_wide_features_are_done_in_plain_pytorch(monkeypatch):
    monkeypatch.setattr(gpu, "MOST_CHANNELS", 8)
    q, k, v, grad = step(5, 1, 16, 16, 5, 6)
    out, lse = forms.OnGpu().forward(q, k, v, 5)
    found = forms.OnGpu().backward((grad, q, k, v, out), lse, 5)
    _, (gradients,) = by_definition([(q, k, v, grad)], 5)
    for name, got, exact in zip(NAMES[1:], found, gradients, strict=True):
        assert_near(got, exact, name)


def test_a_gpu_is_where_it_runs(monkeypatch):
    """Without one, the form says so; with one, it takes what are halves."""
    if DEVICE == "cpu":
        assert "no NVIDIA GPU" in dispatch.obstacle(forms.GPU)
        monkeypatch.setattr(gpu, "obstacle", lambda: None)
    cuda = torch.device("cuda")
    assert dispatch.form_for(torch.bfloat16, cuda) == dispatch.form_for(torch.float16, cuda) == forms.GPU
    assert dispatch.form_for(torch.float32, cuda) == dispatch.form_for(torch.bfloat16, cuda, "mean") == "torch"
    assert dispatch.form_for(torch.bfloat16, torch.device("cpu")) != forms.GPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "on the GPU in bf16 triton" in dispatch.describe()
    monkeypatch.setenv(dispatch.VARIABLE, "torch")
    assert dispatch.form_for(torch.bfloat16, cuda) == "torch"
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    assert dispatch.form_for(torch.bfloat16, cuda) == "reference"


def test_a_map_is_made_where_there_is_memory_for_it(monkeypatch):
    class Properties:
        total_memory = 32 * 2 * 64**2

    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: Properties)
    assert forms.OnGpu().concatenated(torch.empty(1, 16, 8, 8), 5) == 0
    assert forms.OnGpu().concatenated(torch.empty(2, 16, 8, 8), 5) > 1000
    assert confined_attention(*step(6, 1, 4, 4, 3, 3)[:3], 3).shape == (1, 4, 3, 3)
