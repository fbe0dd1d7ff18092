"""The forward pass of training on a GPU against the network's own; interpreted where there is no GPU."""

import pytest
import torch

from nlrn.correlation import gpu
from nlrn.network import NLRN, Config
from nlrn.training import on_gpu

pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def trained(config):
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
    return network.eval().to(DEVICE).to(memory_format=torch.channels_last)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("config", "size", "scale"),
    [
        (
            Config(noise_map=True, steps=3, filters=16, embedding=16, window=7, every=2, unshuffle=2),
            (2, 1, 18, 11),
            None,
        ),
        (Config(noise_map=True, steps=2, filters=32, embedding=16, window=5, channels=3), (1, 3, 9, 10), None),
        (Config(task="sr", steps=2, filters=16, embedding=16, window=7, post_upsampling=True), (1, 1, 9, 10), 3),
        (Config(steps=2, filters=16, embedding=16, every=0), (1, 1, 8, 9), None),
        (Config(steps=3, filters=16, embedding=16, window=5, groups=2), (1, 1, 8, 9), None),
    ],
)
def test_it_is_the_function_of_the_network(config, size, scale):
    network, x = trained(config), torch.rand(size, device=DEVICE)
    sigma = torch.rand(size[0], device=DEVICE) / 5
    wanted = network(x, sigma, scale=scale)
    grad = torch.randn_like(wanted)
    wanted.backward(grad)
    gradients = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    found = on_gpu.forward(network, x, sigma, scale=scale, dtype=torch.float32)
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
def test_which_networks_it_is_for(fits, settings, monkeypatch):
    monkeypatch.setattr(gpu, "obstacle", lambda: None)
    network, cuda = NLRN(Config(**{"steps": 2, **settings})), torch.device("cuda")
    assert on_gpu.fits(network, cuda) == fits
    assert not on_gpu.fits(network, torch.device("cpu"))
    monkeypatch.setenv("NLRN_CORRELATION", "torch")
    assert not on_gpu.fits(network, cuda)
