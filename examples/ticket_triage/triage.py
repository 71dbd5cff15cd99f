"""Sorts support tickets like tickets that people sorted before; what it is not sure of is left to a person.

    python triage.py minilm.edge tickets.csv new.csv sorted.csv

It learns from tickets.csv (columns text and category) when it starts, which takes some seconds, also on a Pi.
"""

import argparse
import csv
import sys
import tempfile
from collections import Counter
from pathlib import Path

import edgekit

PERSON = "a person"


def read(path: Path, *columns: str) -> list[dict[str, str]]:
    """Return the rows of a CSV; a spreadsheet may have put a mark in front of it."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := set(columns) - set(rows.fieldnames or ()):
            sys.exit(f"{path} has no column {', '.join(sorted(missing))}")
        return [row for row in rows if all((row[column] or "").strip() for column in columns)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Sort tickets.")
    parser.add_argument("encoder", type=Path, help="a bundle that embeds texts")
    parser.add_argument("known", type=Path, help="a CSV with the columns text and category")
    parser.add_argument("new", type=Path, help="a CSV with the column text")
    parser.add_argument("output", type=Path, help="the CSV to write: text, category, probability")
    parser.add_argument("--accuracy", type=float, default=0.95, help="of the categories it gives (default: 0.95)")
    options = parser.parse_args()
    known, new = read(options.known, "text", "category"), read(options.new, "text")
    texts = [row["text"] for row in new]

    with tempfile.TemporaryDirectory() as folder:
        path = edgekit.fit(
            options.encoder,
            [row["text"] for row in known],
            [row["category"] for row in known],
            Path(folder, "triage.edge"),
            accuracy=options.accuracy,
        )
        with edgekit.load(path) as model:
            found = model.classify(texts)

    with options.output.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "category", "probability"])
        for text, each in zip(texts, found, strict=True):
            writer.writerow([text, each.label or "", f"{each.probability:.3f}"])
            print(f"{each.label or PERSON:12} {each.probability:4.0%}  {text}")
    counts = Counter(each.label or PERSON for each in found)
    print(f"\n{len(texts)} tickets:", ", ".join(f"{count} for {label}" for label, count in counts.most_common()))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
    except (edgekit.EdgekitError, OSError) as error:
        sys.exit(f"error: {error}")
