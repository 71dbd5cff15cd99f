"""Watches a folder and writes a summary of each text file that is put there.

    python watch.py smollm2.edge inbox summaries

A summary has the name and the time of its text: that is how it is known to be done, also after a restart.
"""

import contextlib
import os
import re
import sys
import time
from pathlib import Path

import edgekit

SECONDS = 2.0  # between two looks
TOLERANCE = 2.0  # seconds; memory cards keep no finer times
PART = 40  # sentences that the model is shown at once


def summarise(model: edgekit.Model, text: str) -> str:
    """Return the sentences of a text that the model finds most important: what it says itself is too often not so."""
    found = re.split(r"(?<=[.!?])\s+|\n\s*\n", text)
    sentences = list(dict.fromkeys(" ".join(each.split()) for each in found if len(each.split()) > 4))
    chosen = set()
    for start in range(0, len(sentences), PART):
        left = sentences[start : start + PART]
        asked = "\n".join(left) + "\n\nSummarise this text with its most important sentences."
        for _ in range(min(len(left), 2 if len(sentences) <= PART else 1)):
            chosen.add(model.generate(asked, schema={"enum": left}, temperature=0.0).value)
            left = [sentence for sentence in left if sentence not in chosen]
    return "\n".join(sentence for sentence in sentences if sentence in chosen) or text.strip()


def look(inbox: Path) -> set[tuple[str, int, float]]:
    """Return the name, size and time of each text that is there."""
    found = set()
    for entry in os.scandir(inbox):
        with contextlib.suppress(FileNotFoundError):  # it went away just now
            if entry.name.lower().endswith((".txt", ".md")) and entry.is_file():
                found.add((entry.name, entry.stat().st_size, entry.stat().st_mtime))
    return found


def watch(model: edgekit.Model, inbox: Path, summaries: Path) -> None:
    before, refused = look(inbox), set[tuple[str, int, float]]()
    while True:
        time.sleep(SECONDS)
        now = look(inbox)
        for text in sorted(now & before - refused):  # what is still growing is not in both
            name, _, modified = text
            target = summaries / f"{name}.summary"
            if target.exists() and abs(target.stat().st_mtime - modified) < TOLERANCE:
                continue
            try:
                summary = summarise(model, (inbox / name).read_text(encoding="utf-8-sig"))
                part = target.with_suffix(".part")
                part.write_text(f"{summary}\n", encoding="utf-8")
                os.utime(part, (modified, modified))
                part.replace(target)  # whole or not at all
                print(f"{name}:\n{summary}\n", flush=True)
            except (OSError, ValueError, edgekit.EdgekitError) as error:
                refused.add(text)
                print(f"{name} is left out: {error}\n", flush=True)
        before = now


if __name__ == "__main__":
    try:
        bundle, inbox, summaries = map(Path, sys.argv[1:]) if len(sys.argv) == 4 else sys.exit(__doc__)
        summaries.mkdir(parents=True, exist_ok=True)
        with edgekit.load(bundle) as model:
            print(f"watching {inbox}", flush=True)
            watch(model, inbox, summaries)
    except KeyboardInterrupt:
        print("stopped")
    except (edgekit.EdgekitError, OSError) as error:
        sys.exit(f"error: {error}")
