"""Gemma 3 from 4B on, which also reads images: its text part. The image encoder is left out, so it takes text alone."""

from __future__ import annotations

from edgekit_exporters.architecture import Model, Tensors
from edgekit_exporters.architectures import gemma3_text
from edgekit_exporters.config import Config


def read(config: Config, tensors: Tensors) -> Model:
    """Read a checkpoint."""
    text = config.section("text_config")
    text.assume(model_type="gemma3_text")
    if "tie_word_embeddings" in config.values:
        text.assume(tie_word_embeddings=config.flag("tie_word_embeddings"))
    # transformers caps the text model's logits and not this one's; published checkpoints have no cap.
    text.require("final_logit_softcapping", value=None)
    model = gemma3_text.read(text, tensors)
    text.finish()
    config.ignore("vision_config", "mm_tokens_per_image", "boi_token_index", "eoi_token_index", "image_token_index")
    tensors.ignore_below(
        "vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."
    )
    return model
