"""Start a network that enlarges from one that enlarges first: its body and norms, a head and a tail fitted to them.

    python scripts/start_at_low_resolution.py MODEL OUT --data FOLDER ...

MODEL sees squares of 2x2 pixels of the bicubic enlargement, so at x2 its squares are the pixels of the small image.
The new head computes what the old one does, as nearly as a 3x3 convolution of the small image can; the new tail makes
of the features that follow, as nearly as it can, what the enlargement lacks. Both are least squares, a minute's work.
The result is for ``nlrn train sr --post-upsampling --init OUT``, with the same data; the pictures that are held out
for validation there are not looked at.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlrn import NLRN, models
from nlrn.config import SCALES
from nlrn.pixels.degradations.bicubic import reduced
from nlrn.pixels.degrade import resize_bicubic
from nlrn.training.data import hold_out, read_images
from nlrn.training.weights import take_weights

_SIDE = 168  # of the middle of each picture; a multiple of every scale


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--pictures", type=int, default=60, help="that are looked at")
    parser.add_argument("--held-out", type=int, default=8, help="as for the training")
    options = parser.parse_args()
    images, _ = hold_out(read_images(options.data, "luma"), options.held_out)
    chosen = np.random.default_rng(0).permutation(len(images))[: options.pictures]
    models.save(started(models.load(options.model), [images[i] for i in chosen]), options.out)


@torch.inference_mode()
def started(old: NLRN, pictures: list[np.ndarray]) -> NLRN:
    new = NLRN(replace(old.config, unshuffle=1, post_upsampling=True)).eval()
    take_weights(new, old)
    luma = torch.cat([torch.from_numpy(picture).flatten() for picture in pictures]) / 255.0
    nn.init.constant_(new.head_norm.running_mean, float(luma.mean()))
    nn.init.constant_(new.head_norm.running_var, float(luma.var()))

    def head_columns() -> Iterator[tuple[Tensor, Tensor]]:
        for small, whole in pairs(pictures, 2):
            enlarged = resize_bicubic(small, *whole.shape[2:])
            yield new.head_norm(small), old.head(old.head_norm(old.seen(enlarged, None)))

    weight, bias = fitted(head_columns(), 1e-7)
    new.head.weight.copy_(weight)
    new.head.bias.copy_(bias)

    found: list[Tensor] = []
    new.tail_norm.register_forward_hook(lambda module, given, features: found.append(features))
    for scale in SCALES:

        def tail_columns(scale: int = scale) -> Iterator[tuple[Tensor, Tensor]]:
            for small, whole in pairs(pictures, scale):
                new(small, scale=scale)
                lacking = whole - resize_bicubic(small, *whole.shape[2:])
                yield F.relu(found.pop()), F.pixel_unshuffle(lacking, scale)

        weight, bias = fitted(tail_columns(), 1e-5)
        new.tail.weight[new.made(scale)], new.tail.bias[new.made(scale)] = weight, bias
    return new


def pairs(pictures: list[np.ndarray], scale: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The middle of each picture, [1, 1, H, W], behind what it is when reduced."""
    for picture in pictures:
        height, width = (min(side, _SIDE) // 12 * 12 for side in picture.shape[:2])
        top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
        middle = torch.from_numpy(picture[top : top + height, left : left + width]) / 255.0
        whole = middle.permute(2, 0, 1)[None]
        yield reduced(whole, scale), whole


def fitted(samples: Iterator[tuple[Tensor, Tensor]], ridge: float) -> tuple[Tensor, Tensor]:
    """Weight and bias of the 3x3 convolution that comes nearest to making the second of each pair of the first."""
    squares, products = torch.zeros(()), torch.zeros(())
    channels = 0
    for given, wanted in samples:
        channels = given.shape[1]
        columns = F.unfold(given, 3, padding=1)[0].double()
        columns = torch.cat([columns, torch.ones_like(columns[:1])])
        squares, products = squares + columns @ columns.T, products + columns @ wanted[0].flatten(1).double().T
    squares += torch.eye(len(squares)) * squares.diagonal().mean() * ridge
    solved = torch.linalg.solve(squares, products).T.float()
    return solved[:, :-1].reshape(-1, channels, 3, 3), solved[:, -1]


if __name__ == "__main__":
    main()
