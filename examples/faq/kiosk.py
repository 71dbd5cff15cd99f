"""Answers questions from a FAQ, offline, and says so where the FAQ has no answer.

    python kiosk.py minilm.edge smollm2.edge library.md

The FAQ may be text, Markdown or HTML. It is read again at each start; only what has changed is computed anew.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import edgekit

UNKNOWN = "I do not know that. Please ask at the desk."


def questions() -> Iterator[str]:
    """Yield what is typed, line by line, until the input ends."""
    while True:
        print("\nYour question: ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            print()
            return
        if line.strip():
            yield line.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description="Answer questions from a FAQ.")
    parser.add_argument("encoder", help="a bundle that embeds texts")
    parser.add_argument("model", help="a bundle that generates text")
    parser.add_argument("faq", nargs="+", help="documents")
    parser.add_argument("--knowledge", type=Path, default=Path("kiosk.kb"), help="where it is kept (default: kiosk.kb)")
    options = parser.parse_args()
    new = not options.knowledge.exists()
    with (
        edgekit.KnowledgeBase.create(options.knowledge, options.encoder)
        if new
        else edgekit.KnowledgeBase.open(options.knowledge) as base,
        edgekit.load(options.model, context=1024) as model,
    ):
        for refusal in base.add(*options.faq).refused:
            print(f"{refusal.name} was left out: {refusal.problem}")
        print(f"{base.chunks} passages are ready. Ctrl-D ends.")
        for question in questions():
            answer = base.ask(question, model)
            if answer.declined:
                print(UNKNOWN)
                continue
            print(answer)
            for source in answer.sources:
                print(f"  ({' / '.join(source.headings) or source.source})")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print()
    except (edgekit.EdgekitError, OSError) as error:
        sys.exit(f"error: {error}")
