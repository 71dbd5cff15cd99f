"""Over every runtime: what it makes of a token alone and of the same one in a pass with others, measured and told.

Guesses, splitting and reusing a cache go by it (DESIGN, section 5): in float bundles nothing changes; in quantized ones
an answer may leave its way where two tokens are nearly as likely, and not elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import divergence
import numpy as np
import pytest
from decoder_cases import SHARED, Case
from divergence import Divergence

from edgekit.bundle import Bundle
from edgekit.decoder import LoadOptions
from edgekit.generation import Options, generate
from edgekit.guessing import Draft, Ids
from edgekit.pass_costs import PassCosts
from edgekit.registry import runtime, runtime_names
from edgekit.session import DecoderSession, open_session
from edgekit_exporters.export import export

CASES = ("qwen2", "phi3", "gemma2")
CONTEXT, TOKENS = 80, 32
SURE = 0.15
"""Standard deviations of the logits: no rounding may replace a token that leads by as much, as `verify` has it."""
FLOAT = 1e-3
"""What float32 sums in another order may change, in standard deviations of the logits."""

runtimes = pytest.mark.parametrize("name", runtime_names())


@pytest.fixture(scope="module")
def written(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Bundle]:
    """Return a case in a quantization, as a bundle with a format for every runtime."""
    folder = tmp_path_factory.mktemp("divergence")
    formats = sorted({runtime(name).format for name in runtime_names()})

    def bundle(case: str, quantization: str) -> Bundle:
        path = folder / f"{case}-{quantization}.edge"
        source = SHARED / "golden" / "decoders" / case
        return Bundle.open(path if path.exists() else export(source, to=formats, quantize=quantization, output=path))

    return bundle


class Guesser:
    """Guesses what it was told that the answer is."""

    cost = 0.0

    def __init__(self, tokens: Ids) -> None:
        self._tokens = tokens

    def first_estimate(self, kind: int) -> float:
        return 0.99

    def propose(self, history: Ids, most: int) -> Draft:
        return Draft(self._tokens[len(history) : len(history) + most], 0)


def greedy(session: DecoderSession, prompt: Ids, tokens: Ids | None = None) -> tuple[Ids, int]:
    """Return a prompt with its greedy answer, and how many guesses were right."""
    session.rewind(0)
    drafter = None if tokens is None else Guesser(tokens)
    with patch.object(DecoderSession, "pass_costs", PassCosts(((1, 1.0), (16, 1.1)))):
        generation = generate(session, prompt, Options(max_tokens=TOKENS), drafter=drafter)
        for _ in generation:
            pass
    return np.array([*prompt, *generation.reply.tokens]), generation.reply.timings.accepted_tokens


def compared(name: str, bundle: Bundle, case: str) -> tuple[Divergence, float | None]:
    """Measure a bundle; return also by how much the token led where the answer with guesses leaves the one without."""
    prompt, _ = Case(SHARED / "golden" / "decoders" / case).greedy()
    (*_, (ids, _)) = Case(SHARED / "golden" / "decoders" / case).sequences()
    with open_session(bundle, name, LoadOptions(context=CONTEXT, threads=1)) as session:
        found = divergence.measure(session, ids)
        plain, _ = greedy(session, prompt)
        guessed, accepted = greedy(session, prompt, plain)
        leaves = np.flatnonzero(plain != guessed)
        if not len(leaves):
            assert accepted > TOKENS / 2
            return found, None
        there = divergence.measure(session, plain[: leaves[0]])
        return found, float(there.margins[-1])


@runtimes
def test_float_bundles_say_the_same(name: str, written: Callable[[str, str], Bundle]) -> None:
    found, lead = compared(name, written("gemma2", "none"), "gemma2")
    assert found.furthest < FLOAT
    assert not found.differing[found.margins > 2 * FLOAT].any()
    assert lead is None or lead < 2 * FLOAT


@runtimes
@pytest.mark.parametrize("quantization", ["int8", pytest.param("int4", marks=pytest.mark.slow)])
def test_quantized_bundles_differ_where_tokens_are_nearly_as_likely(
    name: str, quantization: str, written: Callable[[str, str], Bundle], record_property: Callable[[str, object], None]
) -> None:
    found, leads = zip(*(compared(name, written(case, quantization), case) for case in CASES), strict=True)
    record_property(divergence.PROPERTY, f"{name}, tiny models in {quantization}: {divergence.summary(found)}")
    for each in found:
        assert not each.differing[each.margins > SURE].any()
        # About twice what was seen in any of them: an engine that is further off has changed.
        assert each.furthest < SURE
    assert all(lead is None or lead < SURE for lead in leads)
