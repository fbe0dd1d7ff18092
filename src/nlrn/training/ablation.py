"""Measures the claims of the paper's abstract: small matched networks that differ in one thing at a time.

Every network is trained on the same patches from the same seed for the same number of iterations, to remove noise
of sigma 25, and scored on images held out. A group is a question, its first network is the paper's answer.
"""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from nlrn.config import SIMILARITIES, Config
from nlrn.files import write_json, write_whole
from nlrn.network import NLRN
from nlrn.training.loop import Outcome, train
from nlrn.training.settings import Settings

BASE = Config(steps=6, filters=32, embedding=16, window=15)
SIGMA = 25.0
_PATCH = 33
# the smallest window with which all pixels of a patch see all of it
_WHOLE = 2 * _PATCH - 1
# last part of a run with fixed norms, as when the published table was made
_FREEZE = 0.25
# differences below this, in dB, are asked of more seeds
_CLOSE = 0.05
_SEEDS = 3

Run = Callable[[Config, Settings], Outcome]


@dataclass(frozen=True)
class Variant:
    """One answer to a question."""

    question: str
    answer: str
    config: Config

    @property
    def key(self) -> str:
        """The name that its results are filed under: equal networks share them."""
        return ",".join(f"{n}={v}" for n, v in vars(self.config).items() if v != getattr(Config(), n))


def variants() -> list[Variant]:
    """All networks, question by question, the paper's choice first."""
    plain = replace(BASE, every=0, filters=_filters_without_block())
    return [
        Variant("the correlation is", "propagated", BASE),
        Variant("the correlation is", "made anew in each step", replace(BASE, propagate=False)),
        *(
            Variant("window", "a whole patch" if w == _WHOLE else f"{w} x {w}", replace(BASE, window=w))
            for w in (15, 5, 25, 45, _WHOLE)
        ),
        *(Variant("steps", f"T = {steps}", replace(BASE, steps=steps)) for steps in (6, 1, 3, 12)),
        Variant("the steps' weights are", "shared", BASE),
        Variant("the steps' weights are", "each step's own", replace(BASE, groups=BASE.steps)),
        *(Variant("similarity", name, replace(BASE, similarity=name)) for name in SIMILARITIES),
        Variant("the recurrent network", "has a non-local block", BASE),
        Variant("the recurrent network", f"is plain, of {plain.filters} filters", plain),
    ]


def _filters_without_block() -> int:
    """Filters that give a plain recurrent network as many weights as BASE has."""
    filters = BASE.filters
    weights = 18 * filters**2 + 2 * filters * BASE.embedding + filters**2
    return int((weights / 18) ** 0.5 + 0.5)


def ablate(
    data: Sequence[Path],
    out: Path,
    *,
    iterations: int = 1000,
    batch: int = 16,
    device: str = "auto",
    precision: str = "auto",
    run: Run = train,
    say: Callable[[str], None] = print,
) -> dict[str, list[float]]:
    """Train and score all variants; what ``out`` holds from before is not done again.

    Where a variant comes within 0.05 dB of its question's first, both are trained from three seeds.

    Args:
        data: folders of training images.
        out: where the runs, ``ablation.json`` and the training files go.
        iterations, batch: the length of each run, and patches of 33 x 33 in a batch.
        run: trains one network.
        say: told what comes next.

    Returns:
        Validation PSNR in dB for each seed, by :attr:`Variant.key`.

    Raises:
        ValueError: data that cannot be trained with.
        KeyboardInterrupt: a run was told to stop.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = out / "ablation.json"
    scores: dict[str, list[float]] = json.loads(record.read_text()) if record.exists() else {}

    def score(variant: Variant, seeds: int) -> list[float]:
        found = scores.setdefault(variant.key, [])
        while len(found) < seeds:
            settings = Settings(
                data=tuple(data), out=out / f"{variant.key}-{len(found)}", iterations=iterations, batch=batch,
                patch=_PATCH, sigmas=(SIGMA, SIGMA), seed=len(found), device=device, precision=precision,
                validate=iterations, freeze=_FREEZE,
            )  # fmt: skip
            say(f"{variant.question} {variant.answer}, seed {len(found)}")
            outcome = run(variant.config, settings)
            if not outcome.finished:  # whoever ended it wants all of this to end
                raise KeyboardInterrupt
            found.append(outcome.psnr)
            write_json(record, scores)
        return found[:seeds]

    everything = variants()
    for variant in everything:
        first = next(v for v in everything if v.question == variant.question)
        difference = score(variant, 1)[0] - score(first, 1)[0]
        if variant is not first and abs(difference) < _CLOSE:
            score(variant, _SEEDS)
            score(first, _SEEDS)
    return scores


def to_markdown(scores: dict[str, list[float]]) -> str:
    """One table: every answer, its weights, its PSNR and how far that is from the paper's choice."""
    lines = ["| | | weights | PSNR (dB) | difference | seeds |", "|---|---|---|---|---|---|"]
    for variant, weights, psnr, difference, seeds in _rows(scores):
        asked = variant.question if difference is None else ""
        apart = "" if difference is None else f"{difference:+.2f}"
        lines.append(f"| {asked} | {variant.answer} | {weights:,} | {psnr:.2f} | {apart} | {seeds} |")
    return "\n".join(lines) + "\n"


def _rows(scores: dict[str, list[float]]) -> Iterator[tuple[Variant, int, float, float | None, int]]:
    """Variant, weights, mean PSNR, its difference over the seeds that both have (None for the first), seeds."""
    first: Variant | None = None
    for variant in variants():
        ours = scores[variant.key]
        weights = sum(p.numel() for p in NLRN(variant.config).parameters())
        if first is None or variant.question != first.question:
            first = variant
            yield variant, weights, fmean(ours), None, len(ours)
            continue
        both = list(zip(ours, scores[first.key], strict=False))
        yield variant, weights, fmean(ours), fmean(a - b for a, b in both), len(both)


def draw(scores: dict[str, list[float]], path: Path) -> None:
    """One figure: the differences as bars. Needs matplotlib."""
    from matplotlib.figure import Figure

    rows = [row for row in _rows(scores) if row[3] is not None]
    figure = Figure(figsize=(8, 0.32 * len(rows) + 1), layout="constrained")
    axes = figure.subplots()
    labels = [f"{v.question}: {v.answer}" for v, *_ in rows]
    differences = [difference or 0.0 for _, _, _, difference, _ in rows]
    bars = axes.barh(labels, differences, color=["#2a7f62" if d > 0 else "#b5495b" for d in differences])
    axes.bar_label(bars, fmt="%+.2f", padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("PSNR against the paper's choice (dB)")
    whole = io.BytesIO()
    figure.savefig(whole, format=path.suffix.removeprefix(".") or "png", dpi=150)
    write_whole(path, whole.getvalue())
