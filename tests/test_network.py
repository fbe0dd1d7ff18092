"""The network is the paper's, every switch of it does something, and the non-local block helps another network."""

from dataclasses import fields, replace
from typing import get_type_hints

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nlrn.config import SCALES, SIMILARITIES, Config
from nlrn.correlation import reference_attention
from nlrn.network import NLRN, NonLocalBlock
from nlrn.pixels.degrade import resize_bicubic


def convolution_parameters(network: nn.Module) -> int:
    return sum(p.numel() for m in network.modules() if isinstance(m, nn.Conv2d) for p in m.parameters())


def test_the_papers_network_has_its_330k_parameters() -> None:
    network = NLRN()
    assert convolution_parameters(network) == 330_625
    assert sum(p.numel() for p in network.parameters()) == 340_099


def test_it_starts_as_the_identity() -> None:
    x = torch.rand(2, 1, 9, 7)
    assert torch.equal(NLRN(Config(steps=2, filters=8, embedding=4, window=5))(x), x)


def slow_nlrn(network: NLRN, x: Tensor, sigma: float) -> Tensor:
    """The network of the paper's section 3.3 once more, from the state dict, with the map of logits kept."""
    w = {n: t.double() for n, t in network.state_dict().items()}
    height, width = x.shape[2:]
    rows, cols = torch.arange(height), torch.arange(width)
    reach = network.config.window // 2
    near = ((rows[:, None] - rows).abs() <= reach)[:, None, :, None] & ((cols[:, None] - cols).abs() <= reach)[
        :, None
    ]
    near = near.reshape(height * width, height * width)

    def conv(t: Tensor, name: str) -> Tensor:
        weight = w[f"{name}.weight"]
        return F.conv2d(t, weight, w[f"{name}.bias"], padding=weight.shape[2] // 2)

    def norm(t: Tensor, name: str) -> Tensor:
        parts = (w[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        mean, var, weight, bias = (p.view(-1, 1, 1) for p in parts)
        return (t - mean) / (var + 1e-5).sqrt() * weight + bias

    y = conv(norm(torch.cat([x, torch.full_like(x, sigma)], 1), "head_norm"), "head")
    state, logits = y, torch.zeros(1, height * width, height * width, dtype=torch.float64)
    for t in range(network.config.steps):
        body = f"bodies.{t * len(network.bodies) // network.config.steps}"
        features = norm(state, f"norms.{t}.block").relu()
        theta, phi, g = (conv(features, f"{body}.non_local.{n}").flatten(2) for n in ("theta", "phi", "g"))
        logits = logits + theta.transpose(1, 2) @ phi
        weights = logits.masked_fill(~near, -torch.inf).softmax(-1)
        features = features + (g @ weights.transpose(1, 2)).reshape(features.shape)
        features = conv(norm(features, f"norms.{t}.conv1"), f"{body}.conv1")
        state = conv(norm(features, f"norms.{t}.conv2").relu(), f"{body}.conv2") + y
    return x + conv(norm(state, "tail_norm").relu(), "tail")


@pytest.mark.parametrize("groups", [1, 2])
def test_it_computes_what_the_paper_says(network, groups: int) -> None:
    made = network(groups=groups).double()
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.5, 2)
    x = torch.rand(1, 1, 9, 11, dtype=torch.float64)
    torch.testing.assert_close(made(x, 0.1), slow_nlrn(made, x, 0.1), atol=1e-10, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"steps": 2},
        {"window": 3},
        {"propagate": False},
        {"every": 2},
        {"every": 0},
        {"groups": 2},
        *({"similarity": s} for s in SIMILARITIES[1:]),
    ],
    ids=str,
)
def test_every_switch_changes_the_result_and_trains(network, change) -> None:
    x = torch.rand(1, 1, 12, 12)
    changed = network(**change)
    assert not torch.allclose(network()(x, 0.1), changed(x, 0.1), atol=1e-6)
    changed.train()
    (changed(torch.rand(2, 1, 12, 12), 0.1) ** 2).mean().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in changed.parameters())


@pytest.mark.parametrize("groups", [2, 3, 5])
def test_each_group_of_steps_has_a_set_of_convolutions_of_its_own(groups: int) -> None:
    shared, apart = (NLRN(Config(steps=5, filters=8, embedding=4, groups=n)) for n in (1, groups))
    body = convolution_parameters(shared.bodies[0])
    assert convolution_parameters(apart) == convolution_parameters(shared) + (groups - 1) * body
    without = convolution_parameters(apart.bodies[0].non_local)
    few = NLRN(Config(steps=5, filters=8, embedding=4, groups=groups, every=4))  # blocks in the first and the last
    assert convolution_parameters(few) == convolution_parameters(apart) - (groups - 2) * without
    steps = [apart.config.group(t) for t in range(5)]
    assert steps == sorted(steps)
    assert set(steps) == set(range(groups))
    # a set has a part in the result from the first of its steps on, and not before
    x, last = torch.rand(1, 1, 12, 12), steps.index(groups - 1)
    torch.nn.init.normal_(apart.tail.weight)
    before = [apart(x, steps=n) for n in (last, last + 1)]
    torch.nn.init.zeros_(apart.bodies[-1].conv2.weight)
    after = [apart(x, steps=n) for n in (last, last + 1)]
    assert torch.equal(before[0], after[0])
    assert not torch.allclose(before[1], after[1], atol=1e-3)


def test_the_groups_of_the_first_release_were_one_or_all() -> None:
    config = Config(steps=6)
    code = config.to_tensor()
    place = list(get_type_hints(Config)).index("groups")
    assert Config.from_tensor(code) == config
    code[place] = 0
    assert Config.from_tensor(code) == replace(config, groups=6)


def test_colour_and_batches_of_sigmas(network) -> None:
    made = network(channels=3)
    x = torch.rand(2, 3, 8, 9)
    together = made(x, torch.tensor([0.05, 0.2]))
    alone = [made(x[i : i + 1], s) for i, s in enumerate((0.05, 0.2))]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-6, rtol=0)


@pytest.mark.parametrize("side", [1, 2])
def test_the_level_may_be_a_map_of_the_pixels(network, side: int) -> None:
    made, x = network(unshuffle=side), torch.rand(2, 1, 7, 9)
    torch.testing.assert_close(made(x, torch.full((1, 1, 7, 9), 0.1)), made(x, 0.1))
    levels = torch.full((2, 1, 7, 9), 0.1)
    levels[1, :, :, 4:] = 0.3
    seen = made.seen(x, levels)[:, -1]
    assert torch.equal(seen[0], torch.full_like(seen[0], 0.1))
    assert torch.equal(seen[1, 0, [0, -1]], torch.tensor([0.1, 0.3]))


def test_wrong_inputs_are_refused(network) -> None:
    with pytest.raises(ValueError, match="one for each pixel"):
        network()(torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 5))
    with pytest.raises(ValueError, match="needs sigma"):
        network()(torch.rand(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"takes \[B, 1, H, W\]"):
        network()(torch.rand(1, 3, 4, 4), 0.1)


@given(
    st.builds(
        Config,
        task=st.just("denoise"),
        channels=st.sampled_from([1, 3]),
        steps=st.integers(1, 20),
        filters=st.integers(1, 256),
        embedding=st.integers(1, 128),
        window=st.integers(0, 30).map(lambda i: 2 * i + 1),
        similarity=st.sampled_from(SIMILARITIES),
        every=st.integers(0, 4),
        unshuffle=st.integers(1, 3),
    )
    | st.builds(Config, task=st.just("sr"), steps=st.integers(1, 20), post_upsampling=st.booleans())
)
def test_a_configuration_survives_as_a_tensor(config: Config) -> None:
    assert Config.from_tensor(config.to_tensor()) == config


def test_files_of_the_first_release_fit() -> None:
    assert Config().to_tensor().tolist() == [0, 1, 12, 128, 64, 45, 1, 0, 1, 1, 0]
    assert Config(unshuffle=2).to_tensor().tolist() == [0, 1, 12, 128, 64, 45, 1, 0, 1, 1, 0, 2]


def test_unshuffled_squares_are_seen_as_one_pixel(network) -> None:
    """Both ends agree: what is seen comes back in its place, and a border that fills no square is cut off again."""
    x = torch.rand(2, 1, 7, 9)
    made = network(unshuffle=2)
    seen = made.seen(x, 0.5)
    assert seen.shape == (2, 5, 4, 5)
    assert torch.equal(seen[:, :4, 1, 2], x[:, 0, 2:4, 4:6].flatten(1))
    assert torch.equal(seen[:, 1, :3, 4], x[:, 0, :6:2, 8])  # repeated where there is no pixel
    assert torch.equal(made.shuffled(seen[:, :4], x), x)
    assert made(x, 0.5).shape == x.shape


@pytest.mark.parametrize("scale", SCALES)
def test_post_upsampling_starts_as_the_bicubic_enlargement(scale: int) -> None:
    x = torch.rand(2, 1, 9, 7)
    made = NLRN(Config("sr", steps=2, filters=8, embedding=4, window=5, post_upsampling=True))
    assert torch.equal(made(x, scale=scale), resize_bicubic(x, 9 * scale, 7 * scale))


@pytest.mark.parametrize("scale", SCALES)
def test_each_scale_has_channels_of_the_tail_of_its_own(network, scale: int) -> None:
    """Channels that no other scale reads; each makes one pixel of a square of scale x scale."""
    made, x = network(task="sr", noise_map=False, post_upsampling=True), torch.rand(1, 1, 6, 7)
    others = [s for s in SCALES if s != scale]
    before, apart = made(x, scale=scale), [made(x, scale=s) for s in others]
    with torch.no_grad():
        made.tail.bias[made.made(scale)] += torch.arange(scale**2) / 10
    square = torch.arange(scale**2).view(scale, scale) / 10
    torch.testing.assert_close(made(x, scale=scale) - before, square.repeat(6, 7)[None, None], atol=1e-5, rtol=0)
    assert all(torch.equal(made(x, scale=s), kept) for s, kept in zip(others, apart, strict=True))


@pytest.mark.parametrize("scale", [None, 1, 5])
def test_post_upsampling_needs_a_scale_that_it_has(network, scale: int | None) -> None:
    with pytest.raises(ValueError, match=r"needs the scale, one of \(2, 3, 4\)"):
        network(task="sr", noise_map=False, post_upsampling=True)(torch.rand(1, 1, 4, 4), scale=scale)


@pytest.mark.parametrize(
    "wrong",
    [
        {"task": "cook"},
        {"channels": 2},
        {"steps": 0},
        {"window": 4},
        {"similarity": "x"},
        {"every": -1},
        {"unshuffle": 0},
        {"steps": 1.5},
        {"task": "sr", "channels": 3},
        {"post_upsampling": True},
    ],
    ids=str,
)
def test_configurations_that_make_no_sense_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)) if len(wrong) == 1 else "channels"):
        Config(**wrong)


@pytest.mark.parametrize("code", [torch.zeros(3, dtype=torch.int64), torch.zeros(len(fields(Config)))])
def test_foreign_tensors_are_no_configuration(code: Tensor) -> None:
    with pytest.raises(ValueError, match="not one that nlrn wrote"):
        Config.from_tensor(code)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(SIMILARITIES))
def test_the_block_is_the_definition_for_any_features(height: int, width: int, similarity: str) -> None:
    torch.manual_seed(1)
    block = NonLocalBlock(6, window=3, similarity=similarity).double()
    nn.init.normal_(block.g.weight)
    x = torch.randn(2, 6, height, width, dtype=torch.float64)
    if similarity == "euclidean":
        attended = _euclidean(x, block.g(x), 1)
    else:
        q = block.theta(x) if "embedded" in similarity else x
        k = block.phi(x) if similarity in ("embedded-gaussian", "embedded-dot") else q
        normalize = "mean" if similarity.endswith("dot") else "softmax"
        attended = reference_attention(q, k, block.g(x), 3, normalize=normalize)
    torch.testing.assert_close(block(x), x + attended, atol=1e-9, rtol=0)


def _euclidean(x: Tensor, g: Tensor, reach: int) -> Tensor:
    out = torch.empty_like(g)
    for y in range(x.shape[2]):
        for c in range(x.shape[3]):
            rows, cols = slice(max(0, y - reach), y + reach + 1), slice(max(0, c - reach), c + reach + 1)
            distance = (x[:, :, rows, cols] - x[:, :, y, c, None, None]).square().sum(1).flatten(1)
            weights = (-distance).softmax(1)
            out[:, :, y, c] = torch.einsum("bn,bmn->bm", weights, g[:, :, rows, cols].flatten(2))
    return out


def test_a_block_without_a_middle_is_refused_when_it_is_made() -> None:
    with pytest.raises(ValueError, match="window must be odd"):
        NonLocalBlock(8, window=4)


def test_a_new_block_changes_nothing() -> None:
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(NonLocalBlock(8)(x), x)
