"""The weights while they are trained: their moving average, a start from other weights, and steps that join later."""

from copy import deepcopy
from dataclasses import replace

import torch
from torch import nn

from nlrn.network import NLRN


class Average:
    """The moving average of the weights; the network that is validated and kept."""

    def __init__(self, network: NLRN, decay: float) -> None:
        self.network, self.decay, self.count = deepcopy(network).eval().requires_grad_(False), decay, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.count += 1
        keep = min(self.decay, self.count / (self.count + 10))
        ours, theirs = self.network.state_dict(), network.state_dict()
        names = [n for n, t in ours.items() if t.is_floating_point()]
        torch._foreach_lerp_([ours[n] for n in names], [theirs[n] for n in names], 1 - keep)

    def restart(self, network: NLRN) -> None:
        self.network.load_state_dict(network.state_dict())
        self.count = 0


def warm_new_norms(network: NLRN, old: int, new: int) -> None:
    """Steps that join start with the norms of the last step before them."""
    for t in range(old, new):
        network.norms[t].load_state_dict(network.norms[old - 1].state_dict())


def freeze_norms(network: NLRN, average: NLRN) -> None:
    """From here on the norms use running statistics, the well-averaged ones."""
    network.load_state_dict({n: b for n, b in average.state_dict().items() if "running" in n}, strict=False)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def take_weights(network: NLRN, source: NLRN) -> None:
    """Copy what fits; a source of fewer steps lends the norms of its last step to the steps it has not, a gray one
    its head and tail to a network of three colours."""
    ours, theirs = network.state_dict(), source.state_dict()
    fitting = {n: t for n, t in theirs.items() if n != "config_code" and n in ours and ours[n].shape == t.shape}
    network.load_state_dict(fitting, strict=False)
    if source.config.channels < network.config.channels and source.config.noise_map == network.config.noise_map:
        _lend_gray(network, source)
    if source.config.steps < network.config.steps and source.config.filters == network.config.filters:
        warm_new_norms(network, source.config.steps, network.config.steps)


@torch.no_grad()
def _lend_gray(network: NLRN, gray: NLRN) -> None:
    """The brightness is seen and restored as ``gray`` does; how the colours differ from it is left to be learned."""
    colours = network.config.channels
    head = network.head.weight
    if head.shape[0] != gray.head.weight.shape[0]:
        return
    image = head[:, :colours]
    image += gray.head.weight[:, :1] / colours - image.mean(1, keepdim=True)
    head[:, colours:] = gray.head.weight[:, 1:]
    for name, tensor in network.head_norm.state_dict().items():
        if tensor.dim():
            theirs = gray.head_norm.state_dict()[name]
            tensor.copy_(torch.cat([theirs[:1].expand(colours), theirs[1:]]))
    network.tail.weight.copy_(gray.tail.weight.expand_as(network.tail.weight))
    if gray.tail.bias is not None and network.tail.bias is not None:
        network.tail.bias.copy_(gray.tail.bias.expand(colours))


def with_steps(network: NLRN, steps: int) -> NLRN:
    """The network as it is trained so far: without the steps that have not joined yet."""
    if steps == network.config.steps:
        return network
    shorter = NLRN(replace(network.config, steps=steps))
    state = network.state_dict()
    shorter.load_state_dict({n: state[n] for n in shorter.state_dict() if n != "config_code"}, strict=False)
    return shorter
