"""Derivatives of the correlation of every kind and order: right in every form, by PyTorch's own checks."""

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck

from nlrn.correlation import available, confined_attention, dispatch, propagated_attention
from nlrn.correlation.kernels import KERNELS
from nlrn.network import NLRN, SIMILARITIES, Config, NonLocalBlock

# PyTorch's own derivatives of its operators, about PyTorch
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")

kernel = next((name for name in available() if name in KERNELS and KERNELS[name].dtype == torch.float32), "torch")


def inputs(*sizes: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    B, D, M, H, W = sizes
    generator = torch.Generator().manual_seed(sum(sizes))
    return [torch.randn(B, C, H, W, generator=generator).to(dtype).requires_grad_() for C in (D, D, M)]


# larger than a tile in both directions
@pytest.mark.parametrize("normalize", ["softmax", "mean"])
@pytest.mark.parametrize("sizes", [(2, 2, 1, 3, 4), (1, 1, 1, 10, 9)])
def test_first_and_second_derivatives_in_either_mode(normalize: str, sizes: tuple[int, ...]) -> None:
    def form(*x: Tensor) -> Tensor:
        return confined_attention(*x, 3, normalize=normalize)

    assert gradcheck(form, inputs(*sizes), check_forward_ad=True, fast_mode=True)
    assert gradgradcheck(form, inputs(*sizes), check_fwd_over_rev=True, check_rev_over_rev=True, fast_mode=True)


def three_steps(*x: Tensor) -> Tensor:
    """The third goes by a map of logits where a kernel runs."""
    carried, outs = None, []
    for q, k, v in zip(x[::3], x[1::3], x[2::3], strict=True):
        out, carried = propagated_attention(q, k, v, 3, carried)
        outs.append(out)
    return torch.cat([out * (t + 1) for t, out in enumerate(outs)], 1)


def test_second_derivatives_of_propagated_steps() -> None:
    x = [tensor for _ in range(3) for tensor in inputs(1, 2, 1, 3, 4)]
    assert gradcheck(three_steps, x, check_forward_ad=True, fast_mode=True)
    assert gradgradcheck(three_steps, x, check_fwd_over_rev=True, fast_mode=True)


def four_steps(*x: Tensor) -> Tensor:
    return three_steps(*x, *x[:3])


@pytest.mark.parametrize("form", [lambda *x: confined_attention(*x[:3], 3), four_steps], ids=["alone", "by a map"])
def test_kernels_have_the_derivatives_of_the_definition(monkeypatch: pytest.MonkeyPatch, form) -> None:
    """In float32, every kind: Hessian-vector products both ways, tangents, all of it mapped over a batch."""
    single = [tensor.detach() for scale in (0.5, 0.7, 0.9) for tensor in inputs(1, 2, 3, 5, 6, dtype=torch.float32)]
    exact = [tensor.double() for tensor in single]
    direction = [torch.linspace(-1, 1, x.numel()).view(x.shape) for x in single]

    def loss(*x: Tensor) -> Tensor:
        return form(*x).pow(2).sum()

    def slope(*x: Tensor) -> tuple[Tensor, ...]:
        return torch.func.grad(loss, tuple(range(9)))(*x)

    def one_by_one(function, in_dims: tuple[int | None, ...] = (0,) * 9):
        def mapped(*x: Tensor):
            each = [function(*(y if d is None else y[i] for y, d in zip(x, in_dims, strict=True))) for i in (0, 1)]
            return torch.utils._pytree.tree_map(lambda *same: torch.stack(same), *each)

        return mapped

    def kinds(x: list[Tensor], v: list[Tensor], vmap) -> dict[str, object]:
        tracked = [tensor.clone().requires_grad_() for tensor in x]
        first = torch.autograd.grad(loss(*tracked), tracked, create_graph=True, allow_unused=True)
        product = sum((g * d).sum() for g, d in zip(first, v, strict=True) if g is not None)
        batch = [torch.stack([tensor, tensor * 0.5]) for tensor in x]
        return {
            "tangent": torch.func.jvp(form, tuple(x), tuple(v)),
            "gradient": slope(*x),
            "reverse over reverse": torch.autograd.grad(product, tracked, allow_unused=True),
            "forward over reverse": torch.func.jvp(slope, tuple(x), tuple(v))[1],
            "reverse over forward": torch.func.grad(lambda *y: torch.func.jvp(form, y, tuple(v))[1].sum())(*x),
            "values of a batch": vmap(form)(*batch),
            "gradients of a batch": vmap(slope)(*batch),
            "one of a batch": vmap(form, in_dims=(0, *[None] * 8))(batch[0], *x[1:]),
        }

    monkeypatch.setenv(dispatch.VARIABLE, kernel)
    got = kinds(single, direction, torch.func.vmap)
    monkeypatch.setenv(dispatch.VARIABLE, "reference")
    wanted = kinds(exact, [tensor.double() for tensor in direction], one_by_one)
    for name, found in got.items():
        for a, b in zip(*map(torch.utils._pytree.tree_leaves, (found, wanted[name])), strict=True):
            if a is None and b is None:  # what the form does not use
                continue
            assert (a - b).abs().max() < 1e-5 * b.abs().max().clamp(min=1), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("similarity", SIMILARITIES)
def test_a_gradient_penalty_trains_the_block(similarity: str, dtype: torch.dtype) -> None:
    """The penalty's own gradient is the slope that finite differences find."""
    torch.manual_seed(0)
    block = NonLocalBlock(3, window=3, similarity=similarity).double()
    nn.init.normal_(block.g.weight)
    x = torch.randn(1, 3, 5, 4, dtype=torch.float64) / 2

    def penalty(block: NonLocalBlock, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(block(x).square().sum(), x, create_graph=True)
        return slope.square().sum()

    parameters = list(block.to(dtype).parameters())
    gradients = torch.autograd.grad(penalty(block, x.to(dtype)), parameters)
    block.double()
    for parameter, gradient in zip(block.parameters(), gradients, strict=True):
        step = 1e-5 * torch.sign(parameter.detach() + 1e-9)
        with torch.no_grad():
            parameter += step
        above = penalty(block, x)
        with torch.no_grad():
            parameter -= 2 * step
        slope = (above - penalty(block, x)) / 2
        with torch.no_grad():
            parameter += step
        assert (gradient.double() * step).sum().item() == pytest.approx(slope.item(), rel=2e-3, abs=1e-7)


def test_a_whole_network_is_differentiated_twice() -> None:
    """Three blocks and more: the later ones by maps of logits, where a kernel runs."""
    torch.manual_seed(0)
    network = NLRN(Config(steps=4, filters=4, embedding=2, window=3)).eval()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.3)
    x, v = torch.rand(2, 1, 1, 6, 7)

    def loss(x: Tensor) -> Tensor:
        return network(x).square().sum()

    single = torch.autograd.functional.hvp(loss, x, v)[1]
    network.double()
    exact = torch.autograd.functional.hvp(loss, x.double(), v.double())[1]
    torch.testing.assert_close(single, exact, atol=1e-3, rtol=1e-3, check_dtype=False)


def test_a_tangent_through_a_backward_pass_is_not_lost() -> None:
    """Forward over reverse without create_graph, where the backward pass runs without gradients."""
    q, k, v = inputs(1, 2, 3, 5, 6, dtype=torch.float32)
    direction = torch.linspace(-1, 1, q.numel()).view(q.shape)

    def slope(q: Tensor, **more: bool) -> Tensor:
        return torch.autograd.grad(confined_attention(q, k, v, 3).square().sum(), q, **more)[0]

    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(q, direction)
        moved = torch.autograd.forward_ad.unpack_dual(slope(dual)).tangent
    (wanted,) = torch.autograd.grad(slope(q, create_graph=True), q, direction)  # the Hessian is symmetric
    torch.testing.assert_close(moved, wanted, atol=1e-4, rtol=1e-4)
