"""For LiteRT-LM: `tflite/model.litertlm`, one file with the model, the tokenizer and the chat template.

The model in it is a copy of `tflite/model.tflite`, whose signatures `decode` and `prefill_128` and their inputs have
the names that LiteRT-LM looks for. Reference: github.com/google-ai-edge/LiteRT-LM, `schema/` and `runtime/proto/`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from edgekit.errors import UnsupportedError
from edgekit_exporters.architecture import Model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.companion import packages_of
from edgekit_exporters.description import generation_defaults, token_text
from edgekit_exporters.format import WriteOptions

FILE = "model.litertlm"

TOP_K = 50
"""Transformers' own default, which a publisher who samples need not write down."""

AS_TEXTS = """\
{%- set texts = namespace(messages=[]) -%}
{%- for message in messages -%}
{%- if message.content is not string and message.content is iterable and message.content is not mapping -%}
{%- set parts = message.content | selectattr("type", "equalto", "text") | map(attribute="text") | join("") -%}
{%- set message = dict(message, content=parts) -%}
{%- endif -%}
{%- set texts.messages = texts.messages + [message] -%}
{%- endfor -%}
{%- set messages = texts.messages -%}
"""
"""What goes before a chat template: LiteRT-LM (0.18) gives a message's text as a list of parts, which templates that
are written for texts alone fail at."""


class LitertlmCompanion:
    """The companion, for the exporter."""

    name = "litertlm"
    engine = "LiteRT-LM"
    format = "tflite"

    def check(self, model: Model, checkpoint: Checkpoint, options: WriteOptions) -> None:  # noqa: ARG002
        """Refuse what takes an input that the engine does not give."""
        border = model.spec.border
        if border is not None and options.context > border:
            raise UnsupportedError(
                f"LiteRT-LM cannot choose between LongRoPE's two tables, and a context of {options.context} needs both",
                f"export with --context {border}",
            )
        self._packages()

    def write(self, bundle: Path, checkpoint: Checkpoint, options: WriteOptions) -> None:
        """Pack the file; the model is copied by the system, past 2 GB too."""
        writer, proto = self._packages()
        described = metadata(proto, checkpoint, options)
        folder = bundle / self.format
        with tempfile.TemporaryDirectory() as temporary, (folder / FILE).open("wb") as packed:
            described_file = Path(temporary) / "metadata.pb"
            described_file.write_bytes(described.SerializeToString())
            builder = writer.LitertLmFileBuilder()
            builder.add_system_metadata(writer.Metadata(key="Authors", value="EdgeKit", dtype=writer.DType.STRING))
            builder.add_llm_metadata(str(described_file))
            builder.add_hf_tokenizer(str(bundle / "tokenizer.json"))
            builder.add_tflite_model(str(folder / "model.tflite"), writer.TfLiteModelType.PREFILL_DECODE)
            builder.build(packed)

    def _packages(self) -> tuple[Any, Any]:
        with packages_of(self):
            from litert_lm_builder import litertlm_builder
            from litert_lm_builder.runtime.proto import llm_metadata_pb2
        return litertlm_builder, llm_metadata_pb2


def metadata(proto: Any, checkpoint: Checkpoint, options: WriteOptions) -> Any:  # noqa: ANN401 - generated, untyped
    """Return what is said of the model (LlmMetadata): its template, what ends a reply, and how it is sampled.

    It has no start token, which would come before the template's own: chats begin as the template says.
    """
    described = proto.LlmMetadata(
        max_num_tokens=options.context, supports_thinking=False, supports_function_calling=False
    )
    described.llm_model_type.generic_model.SetInParent()
    for token in options.eos_ids:
        described.stop_tokens.add().token_ids.ids.append(token)
    if checkpoint.chat_template is not None:
        described.jinja_prompt_template = template(checkpoint)
    sampling, sampler = generation_defaults(checkpoint), described.sampler_params
    sampled = bool(sampling.get("do_sample"))
    # The likeliest token alone where nothing is drawn: the engine has no other way to be greedy on a CPU (0.18).
    sampler.type, sampler.k = sampler.TOP_P, int(sampling.get("top_k", TOP_K)) if sampled else 1
    sampler.p = float(sampling.get("top_p", 1)) if sampled else 1
    sampler.temperature = float(sampling.get("temperature", 1)) if sampled else 1
    return described


def template(checkpoint: Checkpoint) -> str:
    """Return the chat template for messages in parts, with the texts of the tokens that it may name."""
    named = {name: token_text(checkpoint, name) for name in ("bos_token", "eos_token")}
    tokens = "".join(
        f"{{%- set {name} = {json.dumps(text, ensure_ascii=False)} -%}}\n" for name, text in named.items() if text
    )
    return f"{tokens}{AS_TEXTS}{checkpoint.chat_template}"


COMPANION = LitertlmCompanion()
