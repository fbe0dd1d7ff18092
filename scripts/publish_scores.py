"""Put the scores of the models where they are shown: their cards, the golden test, the README.

nlrn evaluate --all --data SETS --precision fp32 --markdown docs/results.md --json docs/results.json
python scripts/publish_scores.py
"""

import json
from pathlib import Path
from typing import Any

from nlrn.config import TASKS
from nlrn.files import write_json, write_whole
from nlrn.models import cards

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden.json"
START, END = "<!-- docs/results.md -->\n", "<!-- end -->"


def in_readme() -> str:
    """The tables that the README shows."""
    return (ROOT / "README.md").read_text().split(START)[1].split(END)[0]


def model_card(name: str, card: dict[str, Any]) -> str:
    """The page that Hugging Face shows of a model: what it is for, how it is used, trained and scored."""
    task = TASKS[card["config"]["task"]]
    training = card["training"]
    data = " and ".join(training["settings"]["data"])
    scores = [
        f"| {data} | " + " | ".join(f"{level}: {psnr:.2f}" for level, psnr in found.items()) + " |"
        for data, found in card["scores"].items()
    ]
    columns = max((len(found) for found in card["scores"].values()), default=0)
    table = (
        ["| set |" + f" PSNR at {task.level} |" * columns, "|---" * (columns + 1) + "|", *scores] if scores else []
    )
    return "\n".join(
        [
            "---",
            "license: mit",
            "library_name: nlrn",
            "pipeline_tag: image-to-image",
            f"tags: [{'denoising' if task is TASKS['denoise'] else 'super-resolution'}, non-local, recurrent]",
            "---",
            "",
            f"# {name}",
            "",
            f"A Non-Local Recurrent Network (Liu et al., NeurIPS 2018) of {card['parameters']:,} parameters for "
            f"`nlrn {task.verb}`; {card['config']['steps']} steps, {card['config']['filters']} filters, "
            f"window {card['config']['window']}.",
            "",
            f"    nlrn {task.verb} picture.png --model {name}" + (" --scale 2" if task.level == "scale" else ""),
            "",
            f"Trained on {data}; the commands and the learning curve are in `config.json`.",
            "",
            *table,
            "",
        ]
    )


def main() -> None:
    reports = json.loads((ROOT / "docs" / "results.json").read_text())["reports"]
    golden = json.loads(GOLDEN.read_text())
    for name, card in cards.list_models().items():
        ours = [report for report in reports if report["model"] == name]
        level = "scale" if card["config"]["task"] == "sr" else "sigma"
        card["scores"] = {r["data"]: {str(s[level]): round(s["psnr"], 2) for s in r["results"]} for r in ours}
        write_json(cards.SHIPPED / name / cards.CARD, card)
        write_whole(cards.SHIPPED / name / "README.md", model_card(name, card).encode())
        first = ours[0]
        images = [image["name"] for image in first["results"][0]["images"][:2]]
        golden[name] |= {
            "set": first["data"],
            "psnr": {
                image: {
                    str(s[level]): round(next(i["psnr"] for i in s["images"] if i["name"] == image), 3)
                    for s in first["results"]
                }
                for image in images
            },
        }
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")
    readme = (ROOT / "README.md").read_text()
    before, after = readme.split(START)[0], readme.split(END)[1]
    (ROOT / "README.md").write_text(before + START + (ROOT / "docs" / "results.md").read_text() + END + after)


if __name__ == "__main__":
    main()
