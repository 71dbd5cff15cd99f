"""A runtime without an engine, whose model says the alphabet, and bundles for it."""

from __future__ import annotations

from collections.abc import Sequence

from echo_decoder import EchoDecoder
from small_tokenizers import trained

from edgekit.bundle import Bundle
from edgekit.decoder import Availability, LoadOptions
from edgekit.machine import Processor
from edgekit.planning.footprint import Footprint, Use
from edgekit.planning.outline import FormatOutline

TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{{ m.role[0] }}:{{ m.content }}|{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)
VOCAB = 420


class Alphabet:
    """Says the letter after the last one, from a to z, and then the end of the sequence."""

    def __init__(self, text: str) -> None:
        from tokenizers import Tokenizer as Rust

        rust = Rust.from_str(text)
        letters = [rust.token_to_id(letter) for letter in "abcdefghijklmnopqrstuvwxyz"]
        self.end = rust.token_to_id("</s>")
        self.next = dict(zip(letters, [*letters[1:], self.end], strict=True))
        self.first = letters[0]

    def __call__(self, tokens: Sequence[int]) -> int:
        return self.next.get(tokens[-1], self.first)


class StubRuntime:
    name = "stub"
    format = "stub"

    def __init__(self) -> None:
        self.opened: list[LoadOptions] = []
        self.decoders: list[EchoDecoder] = []
        self.version = "1"

    def available(self) -> Availability:
        return Availability(ok=True, version=self.version)

    def footprint(self, outline: FormatOutline, use: Use) -> Footprint:
        return Footprint(mapped=outline.weights, copies=0, cache=1000 * use.context, activations=0, program=0)

    def advises_against(self, outline: FormatOutline, processor: Processor) -> str:
        return ""

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> EchoDecoder:
        self.opened.append(options)
        self.decoders.append(EchoDecoder(Alphabet(trained("byte_level")), VOCAB, options.context))
        return self.decoders[-1]
