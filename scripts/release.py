"""Put the best weights of a training run into the package; their scores follow with scripts/publish_scores.py.

    python scripts/release.py RUN NAME --recipe COMMANDS [--earlier RUN ...]

Writes the model of the folder RUN with its card, learning curve included, to src/nlrn/weights/NAME and pins what it
computes in tests/golden.json.
"""

import argparse
import json
from pathlib import Path

import torch

from nlrn import NLRN, models
from nlrn.models import cards

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden.json"
PROTOCOL = {
    "white": "noise of sigma/255 added to the 8-bit image, not clipped, seeded from file name and sigma; whole "
    "image in one pass; output clipped and rounded to 8 bit; PSNR in dB over all pixels, mean over images",
    "bicubic": "Y of BT.601; reduced by MATLAB's antialiased bicubic, rounded to 8 bit; whole image in one pass; "
    "output rounded to 8 bit; `scale` pixels shaved off; PSNR in dB on Y, mean over images",
    "photo": "real pairs of photographs and their means: scripts/measure_photographs.py pairs",
    "jpeg": "gray pictures saved as JPEG at qualities 10 to 40: scripts/measure_photographs.py jpeg",
}
"""How a model is measured, by what it was trained on."""


def sample(height: int = 40, width: int = 48) -> torch.Tensor:
    """A small picture of waves and edges, [1, 1, H, W], the same on every machine."""
    y, x = torch.meshgrid(torch.arange(height) / 8.0, torch.arange(width) / 8.0, indexing="ij")
    return (0.5 + 0.2 * torch.sin(x * y) + 0.2 * (torch.sin(3 * x + y) > 0)).view(1, 1, height, width)


def pinned(network: NLRN) -> list[float]:
    """What a model makes of the sample, at some pixels."""
    with torch.inference_mode():
        restored = network(sample().expand(1, network.config.channels, -1, -1), 25 / 255, scale=2)
    return [round(float(v), 6) for v in restored.flatten()[::97]]


def curve(run: Path) -> dict[int, float]:
    """Iteration and mean PSNR of each validation; of those done again after a resumption, the last."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["iteration"]: round(line["psnr"], 2) for line in lines if "psnr" in line}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--recipe", required=True, help="the commands that trained it")
    parser.add_argument("--earlier", type=Path, nargs="*", default=[], help="runs it goes on from, in order")
    options = parser.parse_args()

    network, card = models.load(options.run), json.loads((options.run / cards.CARD).read_text())
    training = {**card["training"], "recipe": options.recipe}
    training["curve"] = {run.name: curve(run) for run in [*options.earlier, options.run]}
    # the names of the sets, not where they lay on the machine that trained
    settings = training["settings"]
    settings["data"] = ["/".join(Path(folder).parts[-2:]) for folder in settings["data"]]
    settings["out"] = Path(settings["out"]).name
    settings["init"] = settings["init"] and Path(settings["init"]).name
    degradation = settings["noise"] if network.config.task == "denoise" else "bicubic"
    said = {"training": training, "protocol": PROTOCOL[degradation], "scores": {}}
    models.save(network, ROOT / "src" / "nlrn" / "weights" / options.name, said)

    golden = json.loads(GOLDEN.read_text())
    golden[options.name] = {"sample": pinned(network)}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
