from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_tokenizers import trained
from tokenizers import Tokenizer

from edgekit.errors import CheckpointError, UnsupportedError
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.checkpoints.gguf import open_gguf
from edgekit_exporters.checkpoints.gguf_merges import merges_of_scores, split_merges
from edgekit_exporters.checkpoints.gguf_pretokenizers import PRETOKENIZERS
from edgekit_exporters.checkpoints.gguf_tokenizer import GgufTokenizer, build_tokenizer

Convert = Callable[..., Path]
CONFIG = {"vocab_size": 1000, "max_position_embeddings": 128, "model_type": "phi3"}

TEXTS = [
    "",
    "Hello",
    " leading and trailing ",
    "two  spaces",
    "1234567890 3.14159",
    "\t\tif x:\r\n\t\treturn y",
    "naïve café",
    "<|user|>\nHi<|end|>\n<|assistant|>  \n Ho<|endoftext|> !",
    "\U0001f642\U0001f469\u200d\U0001f467 ok",
    "中文 and العربية",
    "a<s>b</s>",
    "\u00a0non-breaking\u200b zero width",
    "▁ the space",
]


def opened(path: Path) -> tuple[Checkpoint, Tokenizer]:
    with open_gguf(path) as checkpoint:
        assert checkpoint.tokenizer_json is not None
        return checkpoint, Tokenizer.from_str(checkpoint.tokenizer_json)


def llama_score(token: str, index: int) -> float:
    """SentencePiece numbers its pieces in the order of their merges and scores them by it; runs of spaces come last."""
    return -1e9 if len(token) > 1 and set(token) == {"▁"} else -float(max(index - 259, 0))


@pytest.fixture(scope="module")
def phi3_metadata(shared: Path) -> tuple[dict[str, Any], Tokenizer]:
    """The real Phi-3 Mini vocabulary as llama.cpp's converter writes it, and the real tokenizer."""
    folder = shared / "data" / "tokenizers" / "phi-3-mini"
    document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = {**document["model"]["vocab"], **{added["content"]: added["id"] for added in document["added_tokens"]}}
    tokens = dict(sorted(tokens.items(), key=lambda item: item[1]))
    types = np.ones(len(tokens), np.int32)
    types[3:259] = 6
    for added in document["added_tokens"]:
        types[added["id"]] = 2 if added["content"] == "<unk>" else 3
    document["added_tokens"] = [added for added in document["added_tokens"] if added["id"] in tokens.values()]
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.scores": np.array([llama_score(*token) for token in tokens.items()], np.float32),
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 32000,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 32000,
        "tokenizer.ggml.add_bos_token": False,
    }
    return metadata, Tokenizer.from_str(json.dumps(document))


def build(metadata: dict[str, Any], size: int = 33000) -> tuple[GgufTokenizer, Tokenizer]:
    built = build_tokenizer(metadata, {**CONFIG, "vocab_size": size}, "file.gguf")
    assert built is not None
    return built, Tokenizer.from_str(built.json)


def test_sentencepiece_is_rebuilt_from_scores(phi3_metadata: tuple[dict[str, Any], Tokenizer], shared: Path) -> None:
    metadata, real = phi3_metadata
    built, ours = build(metadata)
    prose = (shared / "golden" / "README.md").read_text(encoding="utf-8")
    for text in [*TEXTS, prose]:
        ids = real.encode(text, add_special_tokens=False).ids
        assert ours.encode(text).ids == ids
        assert ours.decode(ids, skip_special_tokens=False) == real.decode(ids, skip_special_tokens=False)
    assert built.config["eos_token"] == "<|endoftext|>"
    assert (built.config["bos_token"], built.config["unk_token"]) == ("<s>", "<unk>")


def test_sentencepiece_merges_are_the_published_ones(
    phi3_metadata: tuple[dict[str, Any], Tokenizer], shared: Path
) -> None:
    metadata, _ = phi3_metadata
    published = json.loads((shared / "data/tokenizers/phi-3-mini/tokenizer.json").read_text(encoding="utf-8"))["model"]
    ids = {token: index for index, token in enumerate(metadata["tokenizer.ggml.tokens"])}
    merges = merges_of_scores(
        ids, metadata["tokenizer.ggml.scores"].tolist(), metadata["tokenizer.ggml.token_type"].tolist()
    )
    assert [" ".join(merge) for merge in merges] == published["merges"]


def test_sentencepiece_adds_bos_and_space_as_the_file_says(phi3_metadata: tuple[dict[str, Any], Tokenizer]) -> None:
    metadata = dict(phi3_metadata[0])
    del metadata["tokenizer.ggml.add_bos_token"]
    built, ours = build(metadata)
    assert built.config["add_bos_token"]
    assert ours.encode("Hello").tokens == ["<s>", "▁Hello"]
    assert ours.encode("Hello", add_special_tokens=False).tokens == ["▁Hello"]
    metadata["tokenizer.ggml.add_space_prefix"] = False
    metadata["tokenizer.ggml.add_eos_token"] = True
    _, ours = build(metadata)
    assert ours.encode("Hello").tokens == ["<s>", "Hello", "<|endoftext|>"]
    assert ours.decode(ours.encode(" Hello").ids) == " Hello"


def sentence_pieces(text: str, scores: dict[str, float]) -> list[str]:
    """Cut a text as SentencePiece's BPE does: the pair of neighbours that scores best is joined."""
    pieces = list(text.replace(" ", "▁"))
    while True:
        joined = [(scores.get(a + b, -np.inf), -at) for at, (a, b) in enumerate(itertools.pairwise(pieces))]
        if not joined or max(joined)[0] == -np.inf:
            break
        at = -max(joined)[1]
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    known = [[piece] if piece in scores else [f"<0x{byte:02X}>" for byte in piece.encode()] for piece in pieces]
    return list(itertools.chain.from_iterable(known))


def test_gemma_has_no_space_in_front_and_tokens_of_several() -> None:
    """As llama.cpp's converter writes Gemma: user's tokens have spaces, types tell control tokens."""
    model = json.loads(trained("gemma"))["model"]
    users, control = ["  ", "\n\n\n", "<h1>"], ["<pad>", "<start_of_turn>", "<end_of_turn>"]
    tokens = [*control, *sorted(model["vocab"], key=model["vocab"].get), *users]
    kinds = {"<unk>": 2, **dict.fromkeys(control, 3), **dict.fromkeys(users, 4)}
    types = [6 if re.fullmatch("<0x..>", token) else kinds.get(token, 1) for token in tokens]
    scores = {token: -float(index) for index, token in enumerate(tokens) if types[index] == 1}
    metadata = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.scores": np.array([scores.get(token, 0.0) for token in tokens], np.float32),
        "tokenizer.ggml.token_type": np.array(types, np.int32),
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_space_prefix": False,
    }
    built = build_tokenizer(metadata, {**CONFIG, "model_type": "gemma2"}, "file.gguf")
    assert built is not None
    ours = Tokenizer.from_str(built.json)
    prose = "The quick brown fox doesn't jump over Größe, été and 你好 or def f(x): 345"
    assert ours.encode(prose, add_special_tokens=False).tokens == sentence_pieces(prose, scores)
    text = "the  fox<end_of_turn>\n\n\n<h1> lazy"
    wanted = [*sentence_pieces("the", scores), "  ", *sentence_pieces("fox", scores), "<end_of_turn>", "\n\n\n", "<h1>"]
    encoded = ours.encode(text)
    assert encoded.tokens == ["<start_of_turn>", *wanted, *sentence_pieces(" lazy", scores)]
    assert ours.decode(encoded.ids[1:], skip_special_tokens=False) == text
    assert ours.decode(ours.encode(prose).ids) == prose


def test_byte_level_merges_and_specials(golden_gguf: Convert, tiny_vocabulary: Callable[..., None]) -> None:
    checkpoint, ours = opened(golden_gguf("llama_gqa", extra=tiny_vocabulary))
    assert ours.encode("hello hello<|im_end|>ü</s>").tokens == ["hello", "Ġhello", "<|im_end|>", "Ã", "¼", "</s>"]
    assert ours.decode(ours.encode("hello ü").ids) == "hello ü"
    assert ours.decode(ours.encode("a</s><|im_end|>").ids) == "a<|im_end|>"  # a user's token is not special
    assert checkpoint.chat_template == "{{ messages }}"
    assert checkpoint.tokenizer_config["bos_token"] == "<s>"
    assert checkpoint.tokenizer_config["add_bos_token"] is False
    assert checkpoint.config["bos_token_id"] == 1


@pytest.mark.parametrize(
    ("pre", "tokens"),
    [
        ("gpt-2", ["Ġhello", "Ġ", "123"]),
        ("smollm", ["Ġhello", "Ġ", "1", "2", "3"]),
        ("llama-bpe", ["<s>", "Ġhello", "Ġ", "123"]),
        ("qwen2", ["Ġhello", "Ġ", "1", "2", "3"]),
        ("default", ["Ġhello", "Ġ", "123"]),
        ("tekken", ["<s>", "Ġhello", "Ġ", "1", "2", "3"]),
        ("gpt-4o", ["Ġhello", "Ġ", "123"]),
    ],
)
def test_pretokenizers_cut_before_merges(
    golden_gguf: Convert, tiny_vocabulary: Callable[..., None], pre: str, tokens: list[str]
) -> None:
    _, ours = opened(golden_gguf("llama_gqa", extra=lambda writer: tiny_vocabulary(writer, pre)))
    assert ours.encode(" hello 123").tokens == tokens


def test_the_file_decides_about_bos(golden_gguf: Convert, tiny_vocabulary: Callable[..., None]) -> None:
    _, ours = opened(
        golden_gguf("llama_gqa", extra=lambda writer: tiny_vocabulary(writer, "llama-bpe", add_bos_token=False))
    )
    assert ours.encode("hello").tokens == ["hello"]
    _, ours = opened(
        golden_gguf("llama_gqa", extra=lambda w: tiny_vocabulary(w, add_bos_token=True, add_eos_token=True))
    )
    assert ours.encode("hello").tokens == ["<s>", "hello", "</s>"]


@pytest.mark.parametrize("pre", PRETOKENIZERS)
def test_every_pretokenizer_is_accepted_and_loses_nothing(
    golden_gguf: Convert, tiny_vocabulary: Callable[..., None], pre: str
) -> None:
    _, ours = opened(golden_gguf("llama_gqa", extra=lambda writer: tiny_vocabulary(writer, pre)))
    for text in TEXTS:
        ids = ours.encode(text, add_special_tokens=False).ids
        assert ours.decode(ids, skip_special_tokens=False) == text


def test_unknown_kinds_are_refused_by_name(golden_gguf: Convert, tiny_vocabulary: Callable[..., None]) -> None:
    with pytest.raises(UnsupportedError, match=r"the pre-tokenizer 'klingon' is not supported; these are: .*smollm"):
        open_gguf(golden_gguf("llama_gqa", extra=lambda writer: tiny_vocabulary(writer, "klingon")))
    with pytest.raises(UnsupportedError, match="does not name its pre-tokenizer"):
        open_gguf(golden_gguf("llama_gqa", extra=lambda writer: tiny_vocabulary(writer, None)))
    with pytest.raises(UnsupportedError, match=r"the tokenizer model 'rwkv' is not supported"):
        build_tokenizer({"tokenizer.ggml.model": "rwkv", "tokenizer.ggml.tokens": ["a"]}, CONFIG, "file.gguf")


def test_no_tokenizer_is_no_error() -> None:
    assert build_tokenizer({}, CONFIG, "file.gguf") is None
    assert build_tokenizer({"tokenizer.ggml.model": "no_vocab"}, CONFIG, "file.gguf") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": ["a", "b", "a"]}, "the token 'a' is there twice"),
        ({"tokens": []}, "tokens is missing"),
        ({"tokens": [str(i) for i in range(1001)]}, "1,001 tokens, but the embedding has 1,000 rows"),
        ({"token_type": np.ones(7, np.int32)}, "token_type does not have one value for each token"),
        ({"merges": ["ab"]}, "the merge 'ab' is not a pair"),
        ({"merges": ["a z"]}, "tokens and merges do not fit"),
        ({"merges": None}, "merges is missing"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    values = {"model": "gpt2", "pre": "gpt-2", "tokens": ["a", "b", "ab"], "merges": ["a b"], **change}
    metadata = {f"tokenizer.ggml.{key}": value for key, value in values.items() if value is not None}
    with pytest.raises(CheckpointError, match=message):
        build_tokenizer(metadata, CONFIG, "file.gguf")


def test_merges_are_cut_at_the_first_space_that_is_no_part() -> None:
    assert split_merges(["a b", "  b"], "file") == [("a", "b"), (" ", "b")]


def test_the_better_score_merges_first() -> None:
    ids = {token: index for index, token in enumerate(["a", "b", "c", "ab", "bc", "abc"])}
    merges = merges_of_scores(ids, [0, 0, 0, -2.0, -1.0, -3.0], [1] * 6)
    assert merges == [("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c")]
