"""genai_config.json: with it, onnxruntime-genai answers from the very folder of a bundle.

Reference: onnxruntime.ai/docs/genai/reference/config.html.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.spec import DecoderSpec
from edgekit_exporters.format import WriteOptions
from edgekit_exporters.formats._onnx_attention import padded_head

GENAI_CONFIG = "genai_config.json"
LAST_LOGITS = "last_logits"
"""The output it reads; its shape is [batch, 1, vocab_size]."""


def write_genai_config(bundle: Path, spec: DecoderSpec, options: WriteOptions) -> None:
    """Write the config at the bundle's root, beside the tokenizer that it goes with."""
    text = json.dumps(genai_config(spec, options), indent=1)
    (bundle / GENAI_CONFIG).write_bytes(text.encode())


def genai_config(spec: DecoderSpec, options: WriteOptions) -> dict[str, Any]:
    """Return the config of a decoder written by `onnx.py`."""
    layer = spec.layers[0]
    eos: int | list[int] = list(options.eos_ids)
    first_eos = options.eos_ids[0] if options.eos_ids else 0
    decoder = {
        "session_options": {"log_id": "edgekit", "provider_options": []},
        "filename": "onnx/model.onnx",
        "head_size": padded_head(layer),
        "hidden_size": spec.hidden_size,
        "inputs": {
            "input_ids": "input_ids",
            "attention_mask": "attention_mask",
            "past_key_names": "past_key_values.%d.key",
            "past_value_names": "past_key_values.%d.value",
        },
        "outputs": {
            "logits": LAST_LOGITS,
            "present_key_names": "present.%d.key",
            "present_value_names": "present.%d.value",
        },
        "num_attention_heads": layer.heads,
        "num_hidden_layers": len(spec.layers),
        "num_key_value_heads": layer.kv_heads,
    }
    return {
        "model": {
            "type": "decoder",
            "bos_token_id": first_eos if options.bos_id is None else options.bos_id,
            "eos_token_id": eos or first_eos,
            "pad_token_id": first_eos if options.pad_id is None else options.pad_id,
            "context_length": options.context,
            "vocab_size": spec.vocab_size,
            "decoder": decoder,
        },
        "search": {
            "do_sample": False,
            "early_stopping": True,
            "max_length": options.context,
            "num_beams": 1,
            "past_present_share_buffer": True,
        },
    }
