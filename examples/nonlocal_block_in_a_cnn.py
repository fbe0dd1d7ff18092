"""Put the non-local module into a plain CNN and train both end to end: does it help?

    python examples/nonlocal_block_in_a_cnn.py [FOLDER OF IMAGES] [--iterations N]

Trains a small DnCNN-like denoiser (sigma 25) twice from the same seed, on the same patches, for the same number of
iterations: as it is, and with one ``NonLocalBlock`` in the middle. Prints the PSNR of both on images held out.
Without a folder, the photographs that come with scikit-image serve.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nlrn import NonLocalBlock
from nlrn.config import Config
from nlrn.pixels.degradations.white import White
from nlrn.pixels.patches import Patches
from nlrn.training.data import hold_out, read_images, validation

SIGMA = 25


def plain_cnn(filters: int = 32, window: int | None = None) -> nn.Sequential:
    """Six convolutions that predict the noise; with a window, a non-local block after the third."""
    layers: list[nn.Module] = [nn.Conv2d(1, filters, 3, padding=1), nn.ReLU()]
    for layer in range(4):
        if layer == 2 and window:
            layers.append(NonLocalBlock(filters, window=window))
        layers += [nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(filters, 1, 3, padding=1)).to(memory_format=torch.channels_last)


def psnr_after_training(network: nn.Module, images: list[np.ndarray], iterations: int) -> float:
    """Train on all but three of the images; the PSNR in dB on those three."""
    training, aside = hold_out(images, 3)
    patches, noise = Patches(training), White(Config(), (SIGMA, SIGMA))
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, iterations)
    for i in range(iterations):
        batch = noise.batch(patches, 16, 32, i, torch.Generator().manual_seed(i))
        loss = (batch.degraded - network(batch.degraded) - batch.clean).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    network.eval()
    with torch.inference_mode():
        test = validation(noise, aside, torch.device("cpu"))[SIGMA]
        error = (test.degraded - network(test.degraded) - test.clean).square().mean((1, 2, 3))
    return float((-10 * error.log10()).mean())


def compare(images: list[np.ndarray], iterations: int, seed: int = 0) -> tuple[float, float]:
    """PSNR without and with the block."""
    scores = []
    for window in (None, 15):
        torch.manual_seed(seed)
        scores.append(psnr_after_training(plain_cnn(window=window), images, iterations))
    return scores[0], scores[1]


def sample_images() -> list[np.ndarray]:
    """Gray photographs that come with scikit-image."""
    from skimage import data
    from skimage.color import rgb2gray

    colour = [data.astronaut(), data.coffee(), data.chelsea()]
    pictures = [*colour, data.camera(), data.brick(), data.page(), data.coins()]
    grays = [p if p.ndim == 2 else (rgb2gray(p) * 255).round().astype(np.uint8) for p in pictures]
    # quarters: more images, so that some can be held out
    halves = [half for g in grays for half in np.array_split(g, 2)]
    return [np.ascontiguousarray(q)[..., None] for h in halves for q in np.array_split(h, 2, axis=1)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--iterations", type=int, default=500)
    options = parser.parse_args()
    images = read_images([options.folder], "gray") if options.folder else sample_images()
    without, with_block = compare(images, options.iterations)
    print(f"PSNR at sigma {SIGMA} on held-out images after {options.iterations} iterations:")
    print(f"  plain CNN               {without:.2f} dB")
    print(f"  with a non-local block  {with_block:.2f} dB")


if __name__ == "__main__":
    main()
