"""For OpenVINO GenAI: its LLMPipeline answers from the folder `openvino`.

It reads openvino_model.xml, a tokenizer and a detokenizer as models of their own (with the chat template in their
notes), and generation_config.json. Reference: docs.openvino.ai, "OpenVINO Tokenizers".
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edgekit.importing import import_openvino
from edgekit.tokenizer_guard import open_rust
from edgekit_exporters.architecture import Model
from edgekit_exporters.checkpoint import Checkpoint
from edgekit_exporters.companion import packages_of
from edgekit_exporters.description import generation_defaults, token_text
from edgekit_exporters.format import WriteOptions

TOKENS = ("bos_token", "eos_token", "pad_token", "unk_token")


class GenaiCompanion:
    """The companion, for the exporter."""

    name = "genai"
    engine = "OpenVINO GenAI"
    format = "openvino"

    def check(self, model: Model, checkpoint: Checkpoint, options: WriteOptions) -> None:  # noqa: ARG002
        """Any decoder will do."""
        self._packages()

    def write(self, bundle: Path, checkpoint: Checkpoint, options: WriteOptions) -> None:
        """Convert the tokenizer, and say what ends a reply."""
        openvino, tokenizers, transformers = self._packages()
        assert checkpoint.tokenizer_json is not None
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=open_rust(checkpoint.tokenizer_json),
            clean_up_tokenization_spaces=False,
            **{name: text for name in TOKENS if (text := token_text(checkpoint, name))},
        )
        tokenizer.chat_template = checkpoint.chat_template
        folder = bundle / self.format
        models = tokenizers.convert_tokenizer(tokenizer, with_detokenizer=True)
        for name, model in zip(("tokenizer", "detokenizer"), models, strict=True):
            openvino.save_model(model, str(folder / f"openvino_{name}.xml"))
        config = json.dumps(generation_config(checkpoint, options), indent=1)
        (folder / "generation_config.json").write_bytes(config.encode())

    def _packages(self) -> tuple[Any, Any, Any]:
        """Import the converter, the engine that it writes with, and what reads the tokenizer for it."""
        # It would say that it found no torch, which no tokenizer needs.
        os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
        with packages_of(self):
            openvino = import_openvino()
            import openvino_tokenizers
            import transformers
        return openvino, openvino_tokenizers, transformers


def generation_config(checkpoint: Checkpoint, options: WriteOptions) -> dict[str, Any]:
    """Return generation_config.json: what ends a reply, and the checkpoint's ways to sample."""
    ids = {"bos_token_id": options.bos_id, "eos_token_id": list(options.eos_ids), "pad_token_id": options.pad_id}
    return {
        **{name: value for name, value in ids.items() if value not in (None, [])},
        **generation_defaults(checkpoint),
    }


COMPANION = GenaiCompanion()
