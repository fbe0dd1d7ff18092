"""Restore a blurred, noisy photograph with the denoiser as the prior: plug-and-play half-quadratic splitting.

    python examples/deblur_plug_and_play.py [IMAGE] [-o PICTURE.png] [--size N]

The network was never shown a blurred image. Two steps take turns: the image that explains the blurred one and lies
close to the last estimate (exact, in the frequency domain), and the denoiser, at a noise level that falls from step
to step. For comparison, scikit-image's Wiener filter and total variation in the same loop, each with the setting
that is best for this very picture, which only someone who knows the sharp one could choose.

Without an image, the cameraman of scikit-image serves. The blur wraps around at the border, as all of them assume.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage.restoration import denoise_tv_chambolle, wiener

import nlrn
from nlrn import images
from nlrn.evaluation.metrics import psnr

SIGMA = 2.55 / 255
RADIUS = 4
STEPS = 8
Prior = Callable[[np.ndarray, float], np.ndarray]


def out_of_focus(radius: int) -> np.ndarray:
    """The kernel of a lens out of focus: a disk."""
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disk = (y * y + x * x <= radius * radius).astype(float)
    return disk / disk.sum()


def spectrum(kernel: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The Fourier transform of a kernel that is centred on the first pixel."""
    padded = np.zeros(shape)
    padded[: kernel.shape[0], : kernel.shape[1]] = kernel
    shift = tuple(-(side // 2) for side in kernel.shape)
    return np.fft.rfft2(np.roll(padded, shift, (0, 1)))


def degrade(sharp: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    blurred = np.fft.irfft2(np.fft.rfft2(sharp) * spectrum(kernel, sharp.shape), sharp.shape)
    return blurred + np.random.default_rng(0).normal(0, SIGMA, sharp.shape)


def plug_and_play(
    blurred: np.ndarray, kernel: np.ndarray, prior: Prior, strength: float = 0.23, first: float = 49 / 255
) -> np.ndarray:
    """Half-quadratic splitting with ``prior(image, sigma)``, where sigma falls from ``first`` to SIGMA."""
    transfer, observed = spectrum(kernel, blurred.shape), np.fft.rfft2(blurred)
    estimate = blurred
    for sigma in np.geomspace(first, SIGMA, STEPS):
        weight = strength * SIGMA**2 / sigma**2
        explained = transfer.conj() * observed + weight * np.fft.rfft2(estimate)
        explained /= np.abs(transfer) ** 2 + weight
        estimate = prior(np.fft.irfft2(explained, blurred.shape), float(sigma))
    return estimate


def network_prior(model: str = "denoise-gray-lite") -> Prior:
    network = nlrn.load(model)

    @torch.inference_mode()
    def denoise(image: np.ndarray, sigma: float) -> np.ndarray:
        restored: torch.Tensor = network(torch.from_numpy(image).float()[None, None], sigma)
        return restored[0, 0].double().numpy()

    return denoise


def best(sharp: np.ndarray, candidates: list[np.ndarray]) -> np.ndarray:
    return max(candidates, key=lambda image: psnr(image.clip(0, 1), sharp, 1))


def compare(sharp: np.ndarray) -> dict[str, np.ndarray]:
    """The blurred image and what each method makes of it, all [H, W] in [0, 1]."""
    kernel = out_of_focus(RADIUS)
    blurred = degrade(sharp, kernel)
    wieners = [wiener(blurred, kernel, balance, clip=False) for balance in np.geomspace(1e-3, 10, 13)]
    variations = [
        plug_and_play(blurred, kernel, lambda image, sigma, w=w: denoise_tv_chambolle(image, w * sigma), strength)
        for w in (0.5, 1.0, 2.0)
        for strength in (0.06, 0.23, 0.9)
    ]
    restored = plug_and_play(blurred, kernel, network_prior())
    found = {
        "blurred": blurred,
        "Wiener": best(sharp, wieners),
        "total variation": best(sharp, variations),
        "NLRN": restored,
    }
    return {name: image.clip(0, 1) for name, image in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path, nargs="?", help="default the cameraman")
    parser.add_argument("-o", "--output", type=Path, default=Path("deblurred.png"))
    parser.add_argument("--size", type=int, default=256, help="side of the square that is cut from the middle")
    options = parser.parse_args()
    if options.image:
        sharp = images.read(options.image).pixels.astype(float)
        sharp = sharp if sharp.ndim == 2 else sharp[..., :3].mean(2)
        sharp /= 255
    else:
        from skimage import data

        sharp = data.camera() / 255
    top, left = ((side - min(side, options.size)) // 2 for side in sharp.shape)
    sharp = sharp[top : top + options.size, left : left + options.size]
    found = compare(sharp)
    for name, image in found.items():
        print(f"{name:16}{psnr(image, sharp, 1):6.2f} dB")
    row = np.hstack([*found.values(), sharp])
    images.write(options.output, np.rint(row * 255).astype(np.uint8))
    print(f"{', '.join(found)} and the sharp image: {options.output}")


if __name__ == "__main__":
    main()
