from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers
from varied_texts import varied_texts

from edgekit.text.aligned import AlignedText
from edgekit.text.expression_syntax import ExpressionError
from edgekit.text.expressions import compile_expression
from edgekit.text.splitting import BEHAVIORS, split
from edgekit_exporters.checkpoints.gguf_pretokenizers import GPT4O, LLAMA3, PRETOKENIZERS, TEKKEN

PUBLISHED = [
    *sorted({cut for known in PRETOKENIZERS.values() for cut in known.cuts}),
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    (
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
        r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s"
    ),
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*""",
    r"[一-龥\u3040-ゟ゠-ヿ]+|\p{N}{1,3}|[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}&&[^\p{Han}]]*",
    r" ?[^(\s|[.,!?…。,、।۔،])]+",
]
"""GPT-2, Llama 3, Qwen 2, Tekken, GPT-4o and others; CLIP, GPT-4, DeepSeek V3 (both its parts), Kimi and BLOOM."""

ODD = [
    r"(?i)it|the", r"a|b(?i)c|D", r"(?i:a(?-i:b))", r"(?i:k)+", r"(?i)[a-c]+", r"(?m).", r".", r"^\w", r"\w$", "^",
    "$",
    r"\A.|.\z", r".\Z", r"\b", r"\B", "x*", "a??", "()", "|a", "a|", "(?=a)", "(?<=a)b|(?<!a)c", "(?>a+)b|a", "a?+a",
    "a*+b",
    "a{,2}", "a{2}", "a{2,}?e", "{", "a{", "a{x}",  r"(?:\r?\n)+", "(a|b)*c", "(?:ab?c)+", "(?:a|bc|d)+",
    "(?<name>a)+", r"[a-z&&[^aeiou]]+", r"[^a-c[x-z]]", r"[\]\-a]", r"[a\-z]", "[-a]", "[a-]", r"[\b]",
    r"[[:punct:]]+",
    r"[[:^alpha:]]", r"[[:digit:][:xdigit:]]+", r"\p{^L}+", r"\P{L}", r"\h+", r"\H", r"\d+|\D", r"\W+", r"\S+",
    r"[^\S\n]+",
    r"\p{Space}+|\p{Digit}", r"\p{Word}+", r"\p{Alpha}+", r"\p{Punct}+", r"\p{Any}", r"\p{Letter}",
    r"\p{Decimal_Number}",
    r"\p{Cn}", r"\p{C}", r"\x41|\x{20ac}|\u00e9", r"\t|\n|\e|\a|\f|\v", r"\/", "a+?b",
    r"\p{Hiragana}|\p{Thai}|\p{Greek}+",
]  # fmt: skip

REFUSED = [
    "(a", "a)", "[a", "[]", "*a", "a**?+{2}?", r"\p{Klingon}", r"\p", r"\1", r"\k<a>", r"\K", r"\X", r"\R", r"\G",
    "(?x:a)",
    "(?#a)", "(?(1)a)", "(?i:é)", "(?i:[é-ü])", "(?i:ss)", "(?i:office)", r"\x{110000}", r"\ud800", r"\u12", "[z-a]",
    "[a-[b]]",
    r"[a-\d]", "[[:graph:]]", "a{2}?", "a{9999}", "a{3,2}", "^*", "(?=a)+", "(?<=a+)b", r"\q", "(?<1>a)", "\\",
    "(" * 99, "a" * 501,
]  # fmt: skip

ENDLESS = [
    "(a+b?)+c",
    "(a*)*b",
    "(a|a)+b",
    "(a?a?)*b",
    "(?:a|ab?)+c",
    "(a?)*",
    "(?:[ab]|[bc])*d",
    "(a{1,9}){2,9}b",
    "(?:(?:a+b?)+)*c",
]


def rust_split(expression: str, behavior: str) -> Any:
    """Return the package's pre-tokenizer; Python's names of behaviors are not those of tokenizer.json."""
    name = "".join("_" + letter.lower() if letter.isupper() else letter for letter in behavior).removeprefix("_")
    return pre_tokenizers.Split(Regex(expression), name)


def agree(expression: str, text: str, behaviors: tuple[str, ...] = tuple(BEHAVIORS)) -> None:
    ours = compile_expression(expression)
    for behavior in behaviors:
        parts = split(AlignedText.of(text), ours.spans(text), behavior) if text else []
        found = [(part.text, (part.starts[0], part.ends[-1])) for part in parts]
        assert found == rust_split(expression, behavior).pre_tokenize_str(text), (expression, behavior, text)


@pytest.mark.parametrize("expression", ["^a?", "^a*", "^(?:a|b)?", "^a??", "^(?:a(?=b))?"])
@pytest.mark.parametrize("text", ["a\n ", "a\nb", "ab\n c", "a\n\n\n", "\n ", "b\naa"])
def test_an_empty_match_is_left_out_only_where_the_last_one_ended(expression: str, text: str) -> None:
    agree(expression, text)


@pytest.mark.parametrize("expression", [*PUBLISHED, *ODD])
def test_what_is_known_matches_as_in_the_package(expression: str) -> None:
    for text in ["", "a", "\n", "ab\nabc\n", "aaab", "AbC abc", "KkK sSſ office", *varied_texts(3, seed=8)]:
        agree(expression, text, ("Isolated", "Removed"))


@pytest.mark.slow
@pytest.mark.parametrize("expression", [*PUBLISHED, *ODD])
def test_what_is_known_matches_on_many_texts(expression: str) -> None:
    for text in varied_texts(500, seed=9):
        agree(expression, text)


@settings(deadline=None, max_examples=30)
@given(
    parts=st.lists(
        st.tuples(
            st.sampled_from(
                ["a", "b", ".", "[ab]", "[^a]", r"\s", r"\p{L}", "(?:a|b)", "(?:ab|c)", r"\b", "^", "(?!a)", "(?>ab|a)"]
            ),
            st.sampled_from(["", "", "?", "*", "+", "??", "*?", "+?", "?+", "*+", "++", "{2}", "{1,2}", "{,2}?"]),
        ),
        min_size=1,
        max_size=5,
    ),
    text=st.text(alphabet="abc \n", max_size=8),
    joint=st.sampled_from(["", "|"]),
)
def test_made_expressions_match_as_in_the_package(parts: list[tuple[str, str]], text: str, joint: str) -> None:
    expression = joint.join(part if part in (r"\b", "^", "(?!a)") else part + suffix for part, suffix in parts)
    try:
        compile_expression(expression)
    except ExpressionError:  # such as a repeat that has more than one way
        return
    agree(expression, text)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_not_known_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        compile_expression(expression)


@pytest.mark.parametrize("expression", ENDLESS)
def test_repeats_with_more_than_one_way_are_refused(expression: str) -> None:
    with pytest.raises(ExpressionError, match="more than one way"):
        compile_expression(expression)


@pytest.mark.slow
@pytest.mark.parametrize("expression", [LLAMA3, GPT4O, TEKKEN])
@pytest.mark.parametrize("unit", [" ", "\n", " \n", "a", "Aa", "1", "<", "日", "'s", "\u0301"])
def test_long_texts_take_no_time(expression: str, unit: str) -> None:
    text, began = unit * (20_000 // len(unit)), time.process_time()
    spans = list(compile_expression(expression).spans(text))
    assert spans[-1][1] == len(text)
    assert time.process_time() - began < 2
