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
from nlrn.pixels.degradations.record import Batch
from nlrn.pixels.degrade import round_8bit
from nlrn.pixels.patches import Patches
from nlrn.training import denormals, few_passes
from nlrn.training.data import hold_out, read_images, share, smaller_copies, validation
from nlrn.training.loss import error_of
from nlrn.training.memory import keep_what_is_freed
from nlrn.training.optimizer import make_optimizers
from nlrn.training.progress import training_bar
from nlrn.training.record import Log, StopSign, describe
from nlrn.training.run import EVERY, Run
from nlrn.training.settings import Schedule, Settings
from nlrn.training.weights import Average, freeze_norms, take_weights, warm_new_norms, with_steps


class Outcome(NamedTuple):
    """The end of a run."""

    psnr: float
    """The best of validation, in dB, mean over noise levels or scales."""
    finished: bool
    """False where it was told to stop before its last iteration."""
    saved: int = 0
    """The iteration that the checkpoint is of."""
    stopped_by: int | None = None
    """The signal that told it to stop."""


def train(config: Config, settings: Settings) -> Outcome:
    """Train a network, or go on with the run whose checkpoint lies in ``settings.out``.

    Leaves there ``checkpoint.pt`` (everything needed to resume exactly), ``model.safetensors`` with ``config.json``
    (the averaged weights of the best validation), ``metrics.jsonl`` and TensorBoard files. A time limit,
    Ctrl-C, SIGTERM or SIGHUP ends the run early, saved.

    Raises:
        ValueError: settings or data that cannot be trained with.
        ModelError: ``settings.init`` is not a model.
        CheckpointError: the checkpoint there is damaged, or of another network, or one cannot be written.
        UsageError: another run is at work in ``settings.out``.
        FloatingPointError: the run left its course several times in a row, each time at half the rate.
    """
    started = time.monotonic()
    device = choose_device(settings.device)
    if device.type == "cpu":
        keep_what_is_freed()
    elif device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # there are two sizes only: of patches, and of what validates
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

    degradation = settings.degradation(config)
    smallest = degradation.side(settings.patch)
    images = read_images(settings.data, degradation.sees, smallest=smallest)
    training, held_out = hold_out(images, settings.held_out)
    patches = Patches(smaller_copies(training, settings.smaller, smallest), fabric.device)
    measured = validation(degradation, held_out, fabric.device)

    network = NLRN(config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    if settings.init:
        take_weights(network, models.load(settings.init))
    optimizers = make_optimizers(network, settings.rate)
    in_few_passes = not many and half and few_passes.fits(network, device)
    peaks = [group["lr"] for o in optimizers for group in o.param_groups]
    wrapped, *optimizers = fabric.setup(network, *optimizers)
    average, schedule = Average(network, settings.decay), Schedule(settings, config)
    run = Run(network, average, optimizers, schedule.steps(0), settings)
    checkpoint = settings.out / "checkpoint.pt"
    if checkpoint.exists():
        run.resume(checkpoint)
    course, first = run.course, run.iteration
    settings.out.mkdir(parents=True, exist_ok=True)
    minutes_left = settings.minutes
    main = fabric.is_global_zero
    with (
        StopSign(started + 60 * settings.minutes) as stop,
        Log(settings.out if main else None, first) as log,
        training_bar(settings.iterations, first, show=main) as bar,
        denormals.flushed(),
    ):
        run.keep()
        for i in range(first, settings.iterations):
            steps = schedule.steps(i)
            if steps > run.steps:
                warm_new_norms(network, run.steps, steps)
                average.restart(network)
            run.steps = steps
            if schedule.frozen(i) and (i == first or not schedule.frozen(i - 1)):
                freeze_norms(network, average.network)
            for group, peak in zip((g for o in optimizers for g in o.param_groups), peaks, strict=True):
                group["lr"] = peak * course.rate * schedule.rate(i, minutes_left)

            clock = time.perf_counter()
            side = schedule.patch(i)
            batch = share(degradation, patches, settings, side, i, fabric.global_rank, fabric.world_size)
            waited = time.perf_counter() - clock
            if in_few_passes and schedule.frozen(i) and steps == config.steps:
                with fabric.autocast():
                    restored = few_passes.forward(network, batch.degraded, batch.sigma, scale=batch.scale)
            else:
                restored = wrapped(batch.degraded, batch.sigma, scale=batch.scale, steps=steps)
            loss = error_of(settings.loss, restored.float(), batch)
            fabric.backward(loss)
            norm = nn.utils.clip_grad_norm_(network.parameters(), settings.clip).item()
            # every process must judge alike, so they do by the same numbers
            mean_loss = float(cast(Tensor, fabric.all_reduce(loss.detach())))
            if course.takes(mean_loss, norm):
                for optimizer in optimizers:
                    optimizer.step()
                average.update(network)
            network.zero_grad()
            run.iteration = i + 1
            if course.lost:
                run.go_back()
                log.write(i + 1, went_back=course.rate)
                bar.say(f"iteration {i + 1}: the run left its course; back to the last good state, at half the rate")
            elif course.steady and (i + 1) % EVERY == 0:
                run.keep()

            took = time.perf_counter() - clock
            pixels = batch.degraded.numel() // config.channels * fabric.world_size / took
            if (i + 1) % 20 == 0:
                log.write(
                    i + 1,
                    loss=mean_loss,
                    norm=norm,
                    rate=course.rate * schedule.rate(i, minutes_left),
                    skipped=course.skipped,
                    steps=steps,
                    pixels_per_second=round(pixels),
                    data_share=round(waited / took, 4),
                )
                bar.update(i + 1, loss=mean_loss, pixels=pixels)
            # every process must stop at the same iteration, and learn at the same rate, so they agree on both
            here = torch.tensor(stop.minutes_left())
            minutes_left = float(cast(Tensor, fabric.all_reduce(here, reduce_op="min")))
            ends = i + 1 == settings.iterations or minutes_left <= 0
            if stop.asked:
                bar.say("asked to stop: validated and saved first; another Ctrl-C ends without that")
            if ends or (i + 1) % settings.validate == 0:
                if main:
                    # in seconds rather than minutes on a GPU; a CPU validates what will run
                    with torch.autocast(device.type, torch.bfloat16, enabled=half and device.type == "cuda"):
                        scores = _validate(average.network, measured, steps)
                    mean = sum(scores.values()) / len(scores)
                    log.write(i + 1, psnr=mean, **{f"psnr_{level}": p for level, p in scores.items()})
                    bar.update(i + 1, psnr=mean)
                    if mean > run.best:
                        run.best = mean
                        card = {"training": describe(settings, i + 1, scores)}
                        models.save(with_steps(average.network, steps), settings.out, card)
                    if course.steady:  # the checkpoint before is better than one to go back from
                        run.save(checkpoint)
                fabric.barrier()
            if ends:
                break
    return Outcome(run.best, run.iteration == settings.iterations, run.saved, stop.asked)


@torch.inference_mode()
def _validate(network: NLRN, measured: dict[int, Batch], steps: int) -> dict[int, float]:
    """PSNR in dB for each noise level or scale, mean over the held-out images."""
    return {
        level: _psnr(network(b.degraded, b.sigma, scale=b.scale, steps=steps), b.clean, b.scale)
        for level, b in measured.items()
    }


def _psnr(restored: Tensor, clean: Tensor, scale: int) -> float:
    """As the protocol has it: rounded to 8 bits, and ``scale`` pixels at the border left out where it enlarges."""
    inside = slice(scale, -scale) if scale > 1 else slice(None)
    error = (round_8bit(restored) - clean)[..., inside, inside].square().mean((1, 2, 3))
    return float((-10 * error.clamp(min=1e-10).log10()).mean())
