"""The long run (`make fuzz`): atheris, guided by coverage, over every reader; each in a process of its own.

    python tests/fuzz/run.py [READER ...] [--runs N] [--keep FOLDER]

An input that breaks a reader ends its run and is left in FOLDER/READER: as crash-..., or as `last` if it hangs.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import subprocess
import sys
import time
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT / part) for part in (".", "exporters", "runtimes", "tests")]

NAMES = ("safetensors", "gguf", "manifest", "tokenizer", "pure_tokenizer", "template")
SECONDS = 60
"""Longer than any input may take, however busy the machine is: what takes so long hangs."""


def main() -> int:
    """Run the readers one after another and say what came of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("readers", nargs="*", metavar="READER", help=f"of {', '.join(NAMES)} (default: all)")
    parser.add_argument("--runs", type=int, default=100_000, help="inputs per reader (default: 100000)")
    parser.add_argument("--keep", type=Path, default=ROOT / ".cache" / "fuzz", help="where corpora and findings go")
    parser.add_argument("--one", choices=NAMES, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        fuzz(given.one, given.runs, given.keep)
    failed = []
    for name in given.readers or NAMES:
        began, folder = time.monotonic(), given.keep / name
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, __file__, "--one", name, "--runs", str(given.runs), "--keep", str(folder)]
        with (folder / "log").open("wb") as log:
            code = subprocess.run(command, stdout=log, stderr=log, check=False).returncode
        counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))
        state = "no finding" if code == 0 else f"a finding (exit code {code}): see {folder / 'log'}"
        print(f"{name}: {counts['inputs']:,} inputs, {counts['accepted']:,} accepted, {state}, "
              f"{time.monotonic() - began:.0f} s", flush=True)  # fmt: skip
        failed += [name] if code else []
    return 1 if failed else 0


def fuzz(name: str, runs: int, folder: Path) -> None:
    """Fuzz one reader; does not return."""
    import atheris  # type: ignore[import-untyped]  # in an environment of its own (make fuzz)

    with atheris.instrument_imports(include=["edgekit", "edgekit_exporters", "jinja2", "fuzz.readers"]):
        from fuzz.readers import run

        from edgekit import sandbox
    from fuzz.limits import limit_memory
    from fuzz.mutations import mutated
    from fuzz.seeds import seeds, write_config

    # Of what a template may take; that it is held to it shows as well, and ten seconds an input would be too long.
    sandbox.MAX_SECONDS, sandbox.MAX_STEPS = 0.1, 5000
    corpus, inputs, last = folder / "corpus", folder / "inputs", folder / "last"
    for each in (corpus, inputs):
        each.mkdir(exist_ok=True)
    write_config(inputs)
    first = seeds(name)
    for number, data in enumerate(first):
        (corpus / f"seed{number}").write_bytes(data)
    counts = {"inputs": 0, "accepted": 0}

    def one_input(data: bytes) -> None:
        faulthandler.dump_traceback_later(SECONDS, exit=True)
        last.write_bytes(data)
        counts["inputs"] += 1
        try:
            counts["accepted"] += run(name, data, inputs, count_memory=counts["inputs"] % 8 == 0)
        except BaseException:
            save()
            raise
        if counts["inputs"] % 1000 == 0 or counts["inputs"] >= runs:
            save()

    def save() -> None:
        (folder / "counts.json").write_text(json.dumps(counts), encoding="utf-8")

    def mutator(data: bytes, size: int, seed: int) -> bytes:
        draw = Random(seed)
        if draw.randint(0, 1):
            return bytes(atheris.Mutate(data, size))
        if draw.randint(0, 1):
            data = draw.choice(first)  # Few of what grew are still accepted: begin again.
        return mutated(data, first, draw, name)[:size]

    save()
    options = [f"-runs={runs}", "-max_len=65536", "-rss_limit_mb=4096", f"-artifact_prefix={folder}/", str(corpus)]
    with limit_memory():
        atheris.Setup([__file__, *options], one_input, custom_mutator=mutator)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
