"""Put the tables that ``nlrn evaluate --all --markdown docs/results.md`` wrote into the README.

python scripts/put_results_into_readme.py
"""

from pathlib import Path

ROOT = Path(__file__).parents[1]
START, END = "<!-- docs/results.md -->\n", "<!-- end -->"


def results_in_readme() -> str:
    """What stands between the marks."""
    return (ROOT / "README.md").read_text().split(START)[1].split(END)[0]


def main() -> None:
    readme = (ROOT / "README.md").read_text()
    before, after = readme.split(START)[0], readme.split(END)[1]
    tables = (ROOT / "docs" / "results.md").read_text()
    (ROOT / "README.md").write_text(before + START + tables + END + after)


if __name__ == "__main__":
    main()
