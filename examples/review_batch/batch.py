"""Says of each product review whether it is positive; goes on where it was when it is stopped, killed or unplugged.

    python batch.py smollm2.edge reviews.csv sentiments.jsonl

A line of the output is a review. Run it again with the same files: only what is missing is done.
"""

import argparse
import csv
import json
import math
import os
import re
import sys
from pathlib import Path

import edgekit
from edgekit import energy

EXAMPLES = (
    ("Works well, very happy.", "positive"),
    ("It broke at once.", "negative"),
    ("The handle comes off and the paint smells.", "negative"),
    ("Fits perfectly and looks great.", "positive"),
    ("My son plays with it every day.", "positive"),
    ("It stopped after two weeks and nobody answers.", "negative"),
    ("Strong, light and worth the price.", "positive"),
    ("It leaks and I cannot use it.", "negative"),
)
"""A model this small understands examples better than instructions; they are computed once for all reviews."""
PROMPT = "".join(f"Review: {text}\nSentiment: {sentiment}\n\n" for text, sentiment in EXAMPLES)
ANSWER = re.compile(" (positive|negative)")


def finished(path: Path) -> set[str]:
    """Return the ids that are done; the beginning of a line that a kill left behind is cut off."""
    data = path.read_bytes() if path.exists() else b""
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        os.truncate(path, len(whole))
    return {json.loads(line)["id"] for line in whole.splitlines()}


def main() -> None:
    parser = argparse.ArgumentParser(description="Judge reviews.")
    parser.add_argument("model", help="a bundle that generates text")
    parser.add_argument("reviews", type=Path, help="a CSV with the columns id and text")
    parser.add_argument("output", type=Path, help="the file of JSON lines to write, or to go on with")
    options = parser.parse_args()
    with options.reviews.open(encoding="utf-8-sig", newline="") as file:
        reviews = {row["id"]: " ".join(row["text"].split()) for row in csv.DictReader(file)}
    missing = reviews.keys() - finished(options.output)
    print(f"{len(reviews)} reviews, {len(missing)} to do", flush=True)

    with edgekit.load(options.model, context=1024) as model, options.output.open("ab") as out, energy.meter() as meter:
        for number, text in reviews.items():
            if number not in missing:
                continue
            asked = f"{PROMPT}Review: {text}\nSentiment:"
            reply = model.generate(asked, raw=True, schema=ANSWER, temperature=0.0)
            sure = math.exp(sum(reply.logprobs))
            found = {"id": number, "sentiment": reply.text.strip(), "probability": round(sure, 3)}
            out.write(json.dumps(found).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())  # on the disk before the next one: the plug may be pulled at any time
            print(f"{number}  {found['sentiment']}  {sure:4.0%}  {text}", flush=True)
    used = f"{meter.joules:.1f} J" if meter.joules is not None else "energy is not measurable here"
    print(f"done in {meter.seconds:.1f} s; {used}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped; run it again to go on")
    except (edgekit.EdgekitError, OSError) as error:
        sys.exit(f"error: {error}")
