"""Draw how the models that ship learned: validation PSNR over iterations, one panel a model.

    python scripts/draw_learning_curves.py docs/learning-curves.png NAME=RUN[,RUN...] ...

The runs of a model follow one another; each is a folder that ``nlrn train`` wrote. Needs matplotlib.
"""

import argparse
import json
from pathlib import Path

from matplotlib.figure import Figure


def curve(run: Path) -> list[tuple[int, float]]:
    """Iteration and mean PSNR of each validation; of those done again after a resumption, the last."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return sorted({line["iteration"]: line["psnr"] for line in lines if "psnr" in line}.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path)
    parser.add_argument("models", nargs="+", metavar="NAME=RUN,...")
    options = parser.parse_args()

    figure = Figure(figsize=(4 * len(options.models), 3), layout="constrained")
    panels = figure.subplots(1, len(options.models), squeeze=False)[0]
    for panel, model in zip(panels, options.models, strict=True):
        name, _, runs = model.partition("=")
        done = 0
        for run in runs.split(","):
            points = curve(Path(run))
            panel.plot(
                [(done + i) / 1000 for i, _ in points], [psnr for _, psnr in points], ".-", label=Path(run).name
            )
            done += points[-1][0]
        panel.set_title(name)
        panel.set_xlabel("thousand iterations")
        panel.grid(alpha=0.3)
        panel.legend(fontsize="small")
    panels[0].set_ylabel("PSNR on images held out (dB)")
    figure.savefig(options.picture, dpi=110)


if __name__ == "__main__":
    main()
