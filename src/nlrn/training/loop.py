"""Training: one straight script on Lightning Fabric, for a CPU, a GPU, or several of them on several machines."""

import time
from typing import NamedTuple, cast

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn

from nlrn import models
from nlrn.config import Config
from nlrn.inference.device import choose_device, choose_precision
from nlrn.network import NLRN
from nlrn.training.data import (
    Batch,
    Patches,
    hold_out,
    noisy_batch,
    photo_batch,
    photo_validation,
    pixels_needed,
    read_images,
    reduced_batch,
    validation_sets,
)
from nlrn.training.optimizer import make_optimizers
from nlrn.training.progress import training_bar
from nlrn.training.record import Log, StopSign, describe, resume, save_checkpoint
from nlrn.training.settings import Schedule, Settings
from nlrn.training.weights import Average, freeze_norms, take_weights, warm_new_norms, with_steps


class Outcome(NamedTuple):
    """What became of a run."""

    psnr: float
    """The best of validation, in dB, mean over noise levels or scales."""
    finished: bool
    """False where it was told to stop before its last iteration."""


def train(config: Config, settings: Settings) -> Outcome:
    """Train a network, or go on with the run whose checkpoint lies in ``settings.out``.

    Leaves there ``checkpoint.pt`` (everything needed to resume exactly), ``model.safetensors`` with ``config.json``
    (the averaged weights of the best validation), ``metrics.jsonl`` and TensorBoard files. A time limit or SIGTERM
    ends the run early, saved.

    Raises:
        ValueError: settings or data that cannot be trained with.
        ModelError: ``settings.init`` is not a model.
        FloatingPointError: the gradient is not finite for the tenth time in a row.
    """
    started = time.monotonic()
    device = choose_device(settings.device)
    half = choose_precision(settings.precision, device) == torch.bfloat16
    many = settings.devices * settings.machines > 1
    fabric = Fabric(
        accelerator=device.type,
        devices=settings.devices,
        num_nodes=settings.machines,
        precision="bf16-mixed" if half else "32-true",
        # steps that are not run yet have norms without gradients
        strategy=DDPStrategy(find_unused_parameters=True) if many else "auto",
    )
    fabric.launch()
    if settings.batch % fabric.world_size:
        raise ValueError(f"a batch of {settings.batch} cannot be shared evenly by {fabric.world_size} processes")
    torch.manual_seed(settings.seed)

    luma = config.task == "sr"
    smallest = pixels_needed(config.task, settings.patch)
    photo = settings.noise == "photo"
    if photo and (config.channels != 1 or not config.noise_map or luma):
        raise ValueError("photographs are for a denoiser of 1 channel, their luma, with a noise map")
    images = read_images(settings.data, 3 if photo else config.channels, luma=luma, smallest=smallest)
    training, held_out = hold_out(images, settings.held_out)
    patches = Patches(training, fabric.device)
    lowest, highest = settings.sigmas
    usual = tuple(s for s in (15, 25, 50) if lowest <= s <= highest)
    levels = settings.scales if luma else usual or (round((lowest + highest) / 2),)
    if photo:
        validation = photo_validation(held_out, fabric.device)
    else:
        validation = validation_sets(held_out, config.task, levels, fabric.device)

    network = NLRN(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if settings.init:
        take_weights(network, models.load(settings.init))
    optimizers = make_optimizers(network, settings.rate)
    peaks = [group["lr"] for o in optimizers for group in o.param_groups]
    wrapped, *optimizers = fabric.setup(network, *optimizers)
    average, schedule = Average(network, settings.decay), Schedule(settings, config)
    first, best, before, done = 0, 0.0, schedule.steps(0), 0
    checkpoint = settings.out / "checkpoint.pt"
    if checkpoint.exists():
        first, best, before = resume(checkpoint, config, network, average, optimizers)
    settings.out.mkdir(parents=True, exist_ok=True)
    stop = StopSign(started + 60 * settings.minutes)

    bad, minutes_left = 0, settings.minutes
    main = fabric.is_global_zero
    with (
        Log(settings.out if main else None) as log,
        training_bar(settings.iterations, first, show=main) as bar,
    ):
        for i in range(first, settings.iterations):
            steps = schedule.steps(i)
            if steps > before:
                warm_new_norms(network, before, steps)
                average.restart(network)
            before = steps
            if schedule.frozen(i) and (i == first or not schedule.frozen(i - 1)):
                freeze_norms(network, average.network)
            for group, peak in zip((g for o in optimizers for g in o.param_groups), peaks, strict=True):
                group["lr"] = peak * schedule.rate(i, minutes_left)

            clock = time.perf_counter()
            batch = _batch(patches, config, settings, schedule.patch(i), i, fabric.global_rank, fabric.world_size)
            waited = time.perf_counter() - clock
            restored = wrapped(batch.degraded, batch.sigma, steps=steps)
            error = (restored.float() - batch.clean).square().mean((1, 2, 3))
            loss = 100 * (batch.weight * error).mean()
            fabric.backward(loss)
            norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
            if torch.isfinite(norm):
                for optimizer in optimizers:
                    optimizer.step()
                average.update(network)
                bad = 0
            else:
                bad += 1
                if bad == 10:
                    raise FloatingPointError(f"the gradient is not finite at iteration {i}; lower --rate")
            network.zero_grad()

            took = time.perf_counter() - clock
            pixels = batch.clean.numel() // config.channels * fabric.world_size / took
            if (i + 1) % 20 == 0:
                log.write(
                    i + 1,
                    loss=loss.item(),
                    norm=norm.item(),
                    rate=schedule.rate(i, minutes_left),
                    steps=steps,
                    pixels_per_second=round(pixels),
                    data_share=round(waited / took, 4),
                )
                bar.update(i + 1, loss=loss.item(), pixels=pixels)
            done = i + 1
            # every process must stop at the same iteration, and learn at the same rate, so they agree on both
            here = torch.tensor(stop.minutes_left())
            minutes_left = float(cast(Tensor, fabric.all_reduce(here, reduce_op="min")))
            ends = i + 1 == settings.iterations or minutes_left <= 0
            if ends or (i + 1) % settings.validate == 0:
                if main:
                    scores = _validate(average.network, validation, steps)
                    mean = sum(scores.values()) / len(scores)
                    log.write(i + 1, psnr=mean, **{f"psnr_{level}": p for level, p in scores.items()})
                    bar.update(i + 1, psnr=mean)
                    if mean > best:
                        best = mean
                        card = {"training": describe(settings, i + 1, scores)}
                        models.save(with_steps(average.network, steps), settings.out, card)
                    save_checkpoint(checkpoint, config, network, average, optimizers, i + 1, best, steps)
                fabric.barrier()
            if ends:
                break
    return Outcome(best, max(first, done) == settings.iterations)


def _batch(
    patches: Patches, config: Config, settings: Settings, size: int, i: int, rank: int, processes: int
) -> Batch:
    """This process's share of batch ``i``, which is the same however many processes share it."""
    generator = torch.Generator(patches.pixels.device).manual_seed(settings.seed * 1_000_003 + i)
    if settings.noise == "photo":
        batch = photo_batch(patches, settings.batch, size, generator)
    elif config.task == "denoise":
        batch = noisy_batch(patches, settings.batch, size, settings.sigmas, generator)
    else:
        batch = reduced_batch(patches, settings.batch, size, settings.scales, generator)
    return Batch(*(t[rank::processes].contiguous(memory_format=_layout(t)) for t in batch))


def _layout(tensor: Tensor) -> torch.memory_format:
    return torch.channels_last if tensor.dim() == 4 else torch.contiguous_format


@torch.inference_mode()
def _validate(network: NLRN, validation: dict[int, Batch], steps: int) -> dict[int, float]:
    """PSNR in dB for each noise level or scale, mean over the held-out images."""
    return {
        level: _psnr(network(b.degraded, b.sigma, steps=steps).clamp(0, 1), b.clean)
        for level, b in validation.items()
    }


def _psnr(restored: Tensor, clean: Tensor) -> float:
    error = (restored - clean).square().mean((1, 2, 3))
    return float((-10 * error.clamp(min=1e-10).log10()).mean())
