"""Put the scores of the models where they are shown: their cards, the golden test, the README.

nlrn evaluate --all --data SETS --precision fp32 --markdown docs/results.md --json docs/results.json
python scripts/publish_scores.py
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlrn.config import TASKS
from nlrn.evaluation.published import Published, published
from nlrn.models import cards

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden.json"
START, END = "<!-- docs/results.md -->\n", "<!-- end -->"


SHOWN = (("denoise", "Set12", 1), ("denoise", "CBSD68", 3), ("sr", "Set5", 1))
"""Task, set and channels of the tables that the README shows."""


def in_readme() -> str:
    """The tables that the README shows."""
    return (ROOT / "README.md").read_text().split(START)[1].split(END)[0]


def summary(reports: list[dict[str, Any]]) -> str:
    """Our models on one set a task, beside the best of their size and the best of any size that were published."""
    lines = []
    for task, data, channels in SHOWN:
        levels = TASKS[task].levels
        heads = [TASKS[task].unit.format(level) for level in levels]
        lines += [f"| {data}, PSNR in dB | parameters | {' | '.join(heads)} |", "|---|---|" + "---|" * len(levels)]
        for row in best(published(task, data, channels), levels[1]):
            cells = [f"{row.scores[level].psnr:.2f}" if level in row.scores else "" for level in levels]
            lines.append(f"| {row.method} | {row.parameters} | {' | '.join(cells)} |")
        for report in reports:
            if (report["task"], report["data"], report["channels"]) == (task, data, channels):
                found = {result[TASKS[task].level]: f"{result['psnr']:.2f}" for result in report["results"]}
                cells = [found.get(level, "") for level in levels]
                lines.append(f"| **{report['model']}** | {report['parameters']:,} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def best(rows: Sequence[Published], level: int) -> list[Published]:
    """The best row below half a million parameters, and the best of all, by the PSNR at a level."""
    scored = [row for row in rows if level in row.scores and row.parameters]
    small = [row for row in scored if row.parameters.endswith("k") and float(row.parameters[:-1]) < 500]
    found = [max(group, key=lambda row: row.scores[level].psnr) for group in (small, scored) if group]
    return found[:1] if found[:1] == found[1:] else found


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
        if not ours:
            continue  # scored otherwise: photographs have no standard set
        level = TASKS[card["config"]["task"]].level
        card["scores"] = {r["data"]: {str(s[level]): round(s["psnr"], 2) for s in r["results"]} for r in ours}
        (cards.SHIPPED / name / cards.CARD).write_text(json.dumps(card, indent=2) + "\n")
        (cards.SHIPPED / name / "README.md").write_text(model_card(name, card))
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
    (ROOT / "README.md").write_text(before + START + summary(reports) + END + after)


if __name__ == "__main__":
    main()
