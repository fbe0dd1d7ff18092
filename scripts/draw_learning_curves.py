"""Draw how the models that ship learned: validation PSNR over iterations, one panel a model, as their cards tell it.

    python scripts/draw_learning_curves.py docs/learning-curves.png [MODEL ...]

By default all whose cards have a curve, of two points at least. The runs of a model follow one another. Needs
matplotlib.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from nlrn.models.cards import list_models

COLUMNS = 4


def main() -> None:
    told = {name: card["training"].get("curve", {}) for name, card in list_models().items()}
    curves = {name: runs for name, runs in told.items() if sum(map(len, runs.values())) > 1}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=list(curves))
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in curves]:
        parser.error(f"no card has a curve of {', '.join(unknown)}; those that have one are {', '.join(curves)}")

    rows = -(-len(options.models) // COLUMNS)
    figure = Figure(figsize=(4 * min(COLUMNS, len(options.models)), 3 * rows), layout="constrained")
    panels = figure.subplots(rows, min(COLUMNS, len(options.models)), squeeze=False)
    for panel in panels.flat[len(options.models) :]:
        panel.remove()
    for panel, name in zip(panels.flat, options.models, strict=False):
        done = 0
        for run, curve in curves[name].items():
            iterations = [done + int(i) for i in curve]
            panel.plot([i / 1000 for i in iterations], list(curve.values()), ".-", label=run)
            done = iterations[-1]
        panel.set_title(name)
        panel.set_xlabel("thousand iterations")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    figure.supylabel("PSNR on images held out (dB)")
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
