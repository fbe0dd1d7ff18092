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
    """Copy what fits; a source of half the filters, or a third, is widened first, one of fewer groups lends each of
    its sets of convolutions to several, one of fewer steps the norms of a group's last step to those it has not, a
    gray one its head and tail to a network of three colours."""
    wanted, given = network.config, source.config
    if wanted.filters > given.filters and not (wanted.filters % given.filters or wanted.embedding % given.embedding):
        source = widened(source, wanted.filters // given.filters, wanted.embedding // given.embedding)
    ours, theirs = network.state_dict(), source.state_dict()
    lenders = [group * given.groups // wanted.groups for group in range(wanted.groups)]
    for group, lender in enumerate(lenders):
        theirs |= {f"bodies.{group}.{n}": t for n, t in source.bodies[lender].state_dict().items()}
    for lender in set(lenders):
        lent = [t for t in range(given.steps) if given.group(t) == lender]
        taking = [t for t in range(wanted.steps) if lenders[wanted.group(t)] == lender]
        for i, t in enumerate(taking):
            norms = source.norms[lent[min(i, len(lent) - 1)]]
            theirs |= {f"norms.{t}.{n}": tensor for n, tensor in norms.state_dict().items()}
    fitting = {n: t for n, t in theirs.items() if n != "config_code" and n in ours and ours[n].shape == t.shape}
    network.load_state_dict(fitting, strict=False)
    if source.config.channels < network.config.channels and source.config.noise_map == network.config.noise_map:
        _lend_gray(network, source)


@torch.no_grad()
def _lend_gray(network: NLRN, gray: NLRN) -> None:
    """The brightness is seen and restored as ``gray`` does; how the colours differ from it is left to be learned."""
    colours, side = network.config.channels, network.config.unshuffle
    pixels, head = side**2, network.head.weight
    if head.shape[0] != gray.head.weight.shape[0] or side != gray.config.unshuffle:
        return
    # the channels are all pixels of a square in red, then in green, then in blue, then the noise level
    image = torch.unflatten(head[:, : colours * pixels], 1, (colours, pixels))
    image += gray.head.weight[:, None, :pixels] / colours - image.mean(1, keepdim=True)
    head[:, colours * pixels :] = gray.head.weight[:, pixels:]
    for name, tensor in network.head_norm.state_dict().items():
        if tensor.dim():
            theirs = gray.head_norm.state_dict()[name]
            tensor.copy_(torch.cat([theirs[:pixels].repeat(colours), theirs[pixels:]]))
    network.tail.weight.copy_(gray.tail.weight.repeat(colours, 1, 1, 1))
    if gray.tail.bias is not None and network.tail.bias is not None:
        network.tail.bias.copy_(gray.tail.bias.repeat(colours))


@torch.no_grad()
def widened(network: NLRN, filters: int, embedding: int) -> NLRN:
    """A network of so many times the filters and embedding channels that computes the same.

    Every feature is there several times; what reads it shares its weight out among the copies unevenly, at random, so
    that training can tell them apart (after Chen, Goodfellow, Shlens, "Net2Net", ICLR 2016).
    """
    config = network.config
    wide = NLRN(replace(config, filters=filters * config.filters, embedding=embedding * config.embedding))
    state = network.state_dict()
    for name, tensor in wide.state_dict().items():
        if name == "config_code":
            continue
        theirs, ours = state[name], tensor
        if theirs.dim() == 4 and ours.shape[1] > theirs.shape[1]:
            copies = ours.shape[1] // theirs.shape[1]
            uneven = torch.randn(copies, *theirs.shape) * theirs.std() / copies
            theirs = (theirs / copies + uneven - uneven.mean(0)).transpose(0, 1).flatten(1, 2)
        if theirs.dim():
            theirs = theirs.repeat(ours.shape[0] // theirs.shape[0], *[1] * (theirs.dim() - 1))
        if ".theta." in name or ".phi." in name:
            theirs = theirs / embedding**0.5  # their dot product adds up all copies
        tensor.copy_(theirs)
    return wide.train(network.training)


def with_steps(network: NLRN, steps: int) -> NLRN:
    """The network as it is trained so far: without the steps that have not joined yet."""
    if steps == network.config.steps:
        return network
    shorter = NLRN(replace(network.config, steps=steps))
    state = network.state_dict()
    shorter.load_state_dict({n: state[n] for n in shorter.state_dict() if n != "config_code"}, strict=False)
    return shorter
