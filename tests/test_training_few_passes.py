"""The forward pass of training in few passes against the network's own; that of a GPU interpreted where none is."""

import pytest
import torch

from nlrn.correlation import gpu
from nlrn.network import NLRN, Config
from nlrn.training import few_passes, on_cpu, on_gpu

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CPU = torch.device("cpu")
CASES = [
    (Config(noise_map=True, steps=3, filters=16, embedding=16, window=7, every=2, unshuffle=2), (2, 1, 18, 11), None),
    (Config(noise_map=True, steps=2, filters=32, embedding=16, window=5, channels=3), (1, 3, 9, 10), None),
    (Config(task="sr", steps=2, filters=16, embedding=16, window=7, post_upsampling=True), (1, 1, 9, 10), 3),
    (Config(steps=2, filters=16, embedding=16, every=0), (1, 1, 8, 9), None),
    (Config(steps=3, filters=16, embedding=16, window=5, groups=2), (1, 1, 8, 9), None),
]
needs_loops = pytest.mark.skipif(on_cpu._library() is None, reason="the passes were not built")


def trained(config, device):
    """A network whose weights and statistics are no longer those of the start."""
    torch.manual_seed(0)
    network = NLRN(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter) if parameter.dim() == 1 else 0)
            if parameter.dim() > 1:
                parameter.copy_(0.06 * torch.randn_like(parameter))
        for name, statistic in network.named_buffers():
            if "running" in name:
                statistic.add_(0.2 * torch.rand_like(statistic))
    return network.eval().to(device).to(memory_format=torch.channels_last)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("config", "size", "scale"), CASES)
def test_on_a_gpu_it_is_the_function_of_the_network(config, size, scale):
    pytest.importorskip("triton")
    network, x = trained(config, DEVICE), torch.rand(size, device=DEVICE)
    sigma = torch.rand(size[0], device=DEVICE) / 5
    wanted = network(x, sigma, scale=scale)
    grad = torch.randn_like(wanted)
    wanted.backward(grad)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    found = few_passes.forward(network, x, sigma, scale=scale, dtype=torch.float32, on=on_gpu)
    found.backward(grad)
    tolerance = 1e-4 if DEVICE == "cpu" else 5e-3  # a GPU multiplies float32 as tf32 there
    assert (found - wanted).abs().max() < tolerance
    for name, parameter in network.named_parameters():
        if name not in gradients:
            assert parameter.grad is None
        elif not name.endswith("phi.bias"):  # of a softmax it moves all logits alike, and has no gradient
            # the logits are kept as halves
            error = (parameter.grad - gradients[name]).norm() / gradients[name].norm().clamp(min=1e-3)
            assert error < 2e-2, (name, float(error))


@pytest.mark.parametrize(
    ("fits", "settings"),
    [
        (True, {}),
        (True, {"groups": 2}),
        (False, {"propagate": False}),
        (False, {"similarity": "dot"}),
        (False, {"filters": 48}),
        (False, {"embedding": 8}),
    ],
)
def test_which_networks_it_is_for_on_a_gpu(fits, settings, monkeypatch):
    monkeypatch.setattr(gpu, "obstacle", lambda: None)
    network, cuda = NLRN(Config(**{"steps": 2, **settings})), torch.device("cuda")
    assert few_passes.fits(network, cuda) == fits
    monkeypatch.setenv("NLRN_CORRELATION", "torch")
    assert not few_passes.fits(network, cuda)


@needs_loops
@pytest.mark.parametrize(
    ("fits", "settings"),
    [
        (True, {}),
        (True, {"filters": 48, "embedding": 8}),
        (False, {"filters": 40}),
        (False, {"propagate": False}),
        (False, {"similarity": "dot"}),
    ],
)
def test_which_networks_it_is_for_on_a_cpu(fits, settings, monkeypatch):
    network = NLRN(Config(**{"steps": 2, **settings}))
    assert few_passes.fits(network, CPU) == fits
    assert not few_passes.fits(network, torch.device("mps"))
    monkeypatch.setattr(on_cpu, "_library", lambda: None)
    assert not few_passes.fits(network, CPU)


@needs_loops
@pytest.mark.parametrize(("config", "size", "scale"), CASES)
def test_on_a_cpu_it_is_the_function_of_the_network(config, size, scale):
    """Its error in bf16 is that of the network itself in bf16."""
    network, x = trained(config, CPU), torch.rand(size)
    sigma = torch.rand(size[0]) / 5
    wanted = network(x, sigma, scale=scale)
    grad = torch.randn_like(wanted)

    def gradients(restored):
        network.zero_grad()
        restored.backward(grad)
        return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}

    exact = gradients(wanted)
    with torch.autocast("cpu", torch.bfloat16):
        usual, found = network(x, sigma, scale=scale), few_passes.forward(network, x, sigma, scale=scale)
    assert (found - wanted).norm() < 2 * (usual - wanted).norm()
    of_usual, of_found = gradients(usual), gradients(found)
    assert of_found.keys() == exact.keys()

    def error(some):
        return sum(float((some[name] - exact[name]).square().sum()) for name in exact) ** 0.5

    assert error(of_found) < 2 * error(of_usual)
    assert error(of_found) < 0.1 * sum(float(g.square().sum()) for g in exact.values()) ** 0.5


@needs_loops
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize("size", [(1, 1, 1, 16), (2, 33, 31, 48), (1, 50, 60, 64)])
def test_a_pass_on_a_cpu_is_what_it_says(size, both, relu):
    torch.manual_seed(0)
    a, b = (torch.randn(size).bfloat16().requires_grad_() for _ in range(2))
    scale, shift = (torch.randn(size[-1], requires_grad=True) for _ in range(2))
    grad = torch.randn(size).bfloat16()
    inputs = (a, b, scale, shift) if both else (a, scale, shift)
    exact = [x.detach().double().requires_grad_() for x in inputs]
    made = (exact[0] + exact[1] if both else exact[0]) * exact[-2] + exact[-1]
    made = made.relu() if relu else made
    wanted = torch.autograd.grad(made, exact, grad.double())
    results = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            found = few_passes.scaled(on_cpu, a, b if both else None, scale, shift, relu=relu)
            results.append((found, *torch.autograd.grad(found, inputs, grad)))
        finally:
            torch.set_num_threads(before)
    for first, second, exactly in zip(*results, (made, *wanted), strict=True):
        assert torch.equal(first, second)  # whatever the number of threads
        # half of the last place of bf16 where it is the result of one sum, else what float32 loses over many
        bound = 2**-8 * exactly.abs() if first.dtype == torch.bfloat16 else 1e-5 * exactly.abs().max()
        assert ((first - exactly).abs() <= bound + 1e-6).all()
