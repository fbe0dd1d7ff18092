"""Put the scores of the models where they are shown: their cards, the golden test, the README.

nlrn evaluate --all --data SETS --precision fp32 --markdown docs/results.md --json docs/results.json
python scripts/publish_scores.py
"""

import json
from pathlib import Path

from nlrn import cards
from nlrn.files import write_json

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden.json"
START, END = "<!-- docs/results.md -->\n", "<!-- end -->"


def in_readme() -> str:
    """The tables that the README shows."""
    return (ROOT / "README.md").read_text().split(START)[1].split(END)[0]


def main() -> None:
    reports = json.loads((ROOT / "docs" / "results.json").read_text())["reports"]
    golden = json.loads(GOLDEN.read_text())
    for name, card in cards.list_models().items():
        ours = [report for report in reports if report["model"] == name]
        level = "scale" if card["config"]["task"] == "sr" else "sigma"
        card["scores"] = {r["data"]: {str(s[level]): round(s["psnr"], 2) for s in r["results"]} for r in ours}
        write_json(cards.SHIPPED / name / cards.CARD, card)
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
