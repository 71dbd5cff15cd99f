"""Answers with a schema: whether they validate, what the masks cost, and what forced tokens save."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import jsonschema
from bundles import bundle
from part import Options, Row, Table, verdict
from setting import shared

import edgekit
from edgekit.cli.statistics import measured
from edgekit.errors import EdgekitError, UsageError
from edgekit.machine import physical_cores
from edgekit.model import Model
from edgekit.structured.constraint import GrammarConstraint
from edgekit.structured.grammar import grammar_of

ORDER = 60
RUNTIMES = {"onnx": 1, "openvino": 4, "tflite": 4}
"""Every how many of the schemas is tried."""
MAX_TOKENS = 160
ACCEPTED, MASK_SHARE, SPEED_UP = 0.9, 0.1, 1.5

TEXTS = (
    "Invoice 2291 of 3 May 2024 from Hanley & Sons, 14 Mill Lane, York: 12 boxes of paper at 4.50, due in 30 days.",
    "Anna Rossi, 31, a nurse from Rome, called about her order 88123. It has not arrived. She wants her money back.",
    "The Atlas 7 drill has 850 watts, weighs 2.1 kg, costs 129 euros and comes with a case and two years of guarantee.",
)
FORM = {
    "type": "object",
    "properties": {
        "document_category": {"enum": ["invoice", "complaint", "product_description"]},
        "person_or_company_name": {"type": "string", "maxLength": 24},
        "identification_number": {"type": ["integer", "null"]},
        "location_or_address": {"type": ["string", "null"], "maxLength": 24},
        "amount_or_price_in_euros": {"type": ["number", "null"]},
        "requires_human_attention": {"type": "boolean"},
    },
    "required": [
        "document_category",
        "person_or_company_name",
        "identification_number",
        "location_or_address",
        "amount_or_price_in_euros",
        "requires_human_attention",
    ],
    "additionalProperties": False,
}


def measure(options: Options) -> Iterator[Row]:
    """Yield, by runtime, what became of the schemas, and what an extraction gains."""
    if "smollm2" not in options.models:
        return
    path, threads = bundle("smollm2", "int8"), options.threads or physical_cores()
    lines = (shared() / "data" / "jsonschemabench" / "schemas.jsonl").read_text("utf-8").splitlines()
    for runtime, every in RUNTIMES.items():
        with edgekit.load(path, runtime=runtime, threads=threads, context=1024) as model:
            yield _schemas(model, [json.loads(line) for line in lines[::every]])
            yield _extraction(model, options.rounds)


def tables(rows: list[Row]) -> list[Table]:
    """Return a table of the schemas and one of the extraction."""
    schemas = [
        (
            row["runtime"],
            f"{row['schemas']}",
            f"{row['accepted']:.1%}",
            f"{row['finished']}",
            f"{row['valid']:.1%}",
            f"{row['cut']:.1%}",
            f"{row['mask_share']:.1%}",
            verdict(row),
        )
        for row in rows
        if "schemas" in row
    ]
    extraction = [
        (
            row["runtime"],
            f"{row['tokens']}",
            f"{row['forced']:.0%}",
            f"{row['ratio']['median']:.2f}",
            f"{row['ratio']['low']:.2f} – {row['ratio']['high']:.2f}",
            f"{SPEED_UP}",
            verdict(row),
        )
        for row in rows
        if "ratio" in row
    ]
    header = ("runtime", "schemas", "accepted", "finished", "of these valid", "cut", "a mask beside a pass", "")
    title = f"Schemas of JSONSchemaBench, SmolLM2 int8 at temperature 1, {MAX_TOKENS} tokens at most"
    more = "Extraction with SmolLM2 int8: tokens per second with a schema, relative to the same output token by token"
    return [
        Table(title, header, schemas, right=(1, 2, 3, 4, 5, 6)),
        Table(
            more, ("runtime", "tokens", "forced", "ratio", "95 %", "at least", ""), extraction, right=(1, 2, 3, 4, 5)
        ),
    ]


def _schemas(model: Model, entries: list[dict[str, Any]]) -> Row:
    clock = _MaskClock(model)
    accepted = finished = valid = passes = 0
    decoding = 0.0
    broken = []
    for number, entry in enumerate(entries):
        schema = entry["file"] if isinstance(entry["file"], dict) else json.loads(entry["file"])
        try:
            grammar = grammar_of(schema)
            GrammarConstraint(grammar, model._vocabulary)
        except UsageError:
            continue
        accepted += 1
        asked = f"Give an example of the data called {entry['name']}."
        with clock:
            try:
                reply = model.generate(asked, schema=grammar, temperature=1.0, seed=number, max_tokens=MAX_TOKENS)
            except EdgekitError as error:
                broken.append(f"{entry['name']}: {error.message}")
                continue
        passes += reply.timings.passes
        decoding += reply.timings.decode_seconds
        if reply.finish_reason == "stop":
            finished += 1
            validator = jsonschema.validators.validator_for(schema)(schema)
            problem = next(iter(validator.iter_errors(json.loads(reply.text))), None)
            valid += problem is None
            if problem is not None:
                broken.append(f"{entry['name']}: {problem.message[:100]}")
    # Of a token: its mask, and a pass with what the loop does around it.
    share = (clock.seconds / clock.masks) / ((decoding - clock.seconds) / passes)
    return {
        "name": f"schemas on {model.runtime}", "runtime": model.runtime, "schemas": len(entries),
        "accepted": accepted / len(entries), "finished": finished, "valid": valid / max(finished, 1),
        "cut": 1 - finished / max(accepted, 1), "mask_share": share, "broken": broken,
        "met": accepted / len(entries) >= ACCEPTED and valid == finished > 0 and share <= MASK_SHARE,
    }  # fmt: skip


class _MaskClock:
    """How many masks there were, and the time that they and following the grammar took."""

    def __init__(self, model: Model) -> None:
        self.masks, self.seconds = 0, 0.0
        model._vocabulary  # noqa: B018 - made before anything is timed

    def __enter__(self) -> None:
        self._plain = {name: getattr(GrammarConstraint, name) for name in ("allow", "accept")}
        for name, method in self._plain.items():
            setattr(GrammarConstraint, name, self._timed(name, method))

    def __exit__(self, *_: object) -> None:
        for name, method in self._plain.items():
            setattr(GrammarConstraint, name, method)

    def _timed(self, name: str, method: Any) -> Any:  # noqa: ANN401
        def timed(*args: Any) -> Any:  # noqa: ANN401
            began = time.perf_counter()
            try:
                return method(*args)
            finally:
                self.seconds += time.perf_counter() - began
                self.masks += name == "allow"

        return timed


def _extraction(model: Model, rounds: int) -> Row:
    ratios, tokens, forced = [], 0, 0
    for number in range(rounds + 1):
        constrained = alone = 0.0
        for text in TEXTS:
            session = model.session
            session.rewind(0)
            # Guesses would be a gain of their own.
            reply = model.generate(f"Text: {text}\nFill in the form.", schema=FORM, draft=None, max_tokens=200)
            constrained += reply.timings.prefill_seconds + reply.timings.decode_seconds
            prompt = session.tokens[: reply.timings.prompt_tokens]
            session.rewind(0)
            began = time.perf_counter()
            session.forward(prompt)
            for token in reply.tokens[:-1]:
                session.forward([token])[-1].argmax()
            alone += time.perf_counter() - began
            tokens += len(reply.tokens)
            forced += reply.timings.forced_tokens
        if number:
            ratios.append(alone / constrained)
    ratio = measured(ratios)
    return {
        "name": f"extraction on {model.runtime}", "runtime": model.runtime,
        "tokens": tokens // (rounds + 1) // len(TEXTS), "forced": forced / tokens, "ratio": vars(ratio),
        "met": ratio.high >= SPEED_UP,
    }  # fmt: skip
