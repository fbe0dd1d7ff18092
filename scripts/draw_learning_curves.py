"""Draw how the models that ship learned: validation PSNR over iterations, one panel a model, as their cards tell it.

    python scripts/draw_learning_curves.py docs/learning-curves.png [MODEL ...]

By default all whose cards have a curve. The runs of a model follow one another. Needs matplotlib.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure

from nlrn.models.cards import list_models


def main() -> None:
    curves = {name: card["training"]["curve"] for name, card in list_models().items() if "curve" in card["training"]}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=list(curves))
    options = parser.parse_args()
    if unknown := [name for name in options.models if name not in curves]:
        parser.error(f"no card has a curve of {', '.join(unknown)}; those that have one are {', '.join(curves)}")

    figure = Figure(figsize=(4 * len(options.models), 3), layout="constrained")
    panels = figure.subplots(1, len(options.models), squeeze=False)[0]
    for panel, name in zip(panels, options.models, strict=True):
        done = 0
        for run, curve in curves[name].items():
            iterations = [done + int(i) for i in curve]
            panel.plot([i / 1000 for i in iterations], list(curve.values()), ".-", label=run)
            done = iterations[-1]
        panel.set_title(name)
        panel.set_xlabel("thousand iterations")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    panels[0].set_ylabel("PSNR on images held out (dB)")
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
