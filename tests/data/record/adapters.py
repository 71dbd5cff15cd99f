"""Records the adapters in tests/data/adapters: LoRA of tiny random models, and what PEFT computes with them.

Not run by the tests. To record again, in an environment of its own, with the shared references beside the checkout:

    pip install torch==2.13.0 transformers==5.23.0 peft==0.21.2
    python tests/data/record/adapters.py

Each is made for one of the shared cases, filled with random numbers, written by PEFT, read again by PEFT from that very
folder, and computed unmerged in float32 with eager attention.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

HERE = Path(__file__).resolve()
OUTPUT = HERE.parent.parent / "adapters"
SHARED = Path(os.environ.get("EDGEKIT_SHARED") or HERE.parents[4] / "shared")
CASES: dict[str, dict[str, Any]] = {
    "llama_gqa": {
        "r": 4,
        "lora_alpha": 10,
        "target_modules": ["q_proj", "v_proj", "down_proj", "embed_tokens", "lm_head"],
        "rank_pattern": {"model.layers.1.mlp.down_proj": 2, r"layers\.[02]\.self_attn\.v_proj": 3},
        "alpha_pattern": {"q_proj": 3},
    },
    "phi3": {"r": 3, "lora_alpha": 5, "target_modules": ["qkv_proj", "gate_up_proj"], "use_rslora": True},
    "gpt2": {"r": 2, "lora_alpha": 4, "target_modules": ["c_attn", "c_fc"], "fan_in_fan_out": True},
}


def main() -> None:
    """Record every case."""
    for name, settings in CASES.items():
        folder, source = OUTPUT / name, SHARED / "golden" / "decoders" / name
        shutil.rmtree(folder, ignore_errors=True)
        made = get_peft_model(base(source), LoraConfig(task_type="CAUSAL_LM", **settings))
        torch.manual_seed(7)
        for key, values in made.named_parameters():
            if "lora_" in key:
                torch.nn.init.normal_(values, std=0.1)
        made.save_pretrained(folder, save_embedding_layers=False)
        with np.load(source / "golden.npz") as golden:
            ids, plain = golden["ids_1"], golden["logits_1"]
        with torch.no_grad():
            logits = PeftModel.from_pretrained(base(source), folder).eval()(torch.tensor(ids[None])).logits[0].numpy()
        (folder / "README.md").unlink()
        weights, config = folder / "adapter_model.safetensors", folder / "adapter_config.json"
        weights.chmod(0o644)
        config.write_text(config.read_text("utf-8").replace(json.dumps(str(source)), json.dumps(name)), "utf-8")
        np.savez(folder / "golden.npz", ids=ids, logits=logits)
        print(f"{name}: logits changed by {np.abs(logits - plain).max():.2f} of {np.abs(plain).max():.2f}")  # noqa: T201


def base(source: Path) -> Any:  # noqa: ANN401 - a model of transformers
    """Open the checkpoint that an adapter is for."""
    return AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, attn_implementation="eager").eval()


if __name__ == "__main__":
    main()
