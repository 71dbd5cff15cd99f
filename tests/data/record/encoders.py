"""Records the encoder cases in tests/data/encoders: tiny random models and what transformers computes with them.

Not run by the tests. To record again, in an environment of its own:

    pip install torch==2.13.0 transformers==5.23.0
    python tests/data/record/encoders.py [CASE ...]

Every case is written as a checkpoint, read again by transformers from that very folder and computed in float32 with
eager attention: a batch of three texts padded at their ends. Each text alone must give the same.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification

OUTPUT = Path(__file__).resolve().parent.parent / "encoders"
SEED = 2000
KINDS = {"hidden": AutoModel, "classify": AutoModelForSequenceClassification, "tag": AutoModelForTokenClassification}

BERT: dict[str, Any] = {
    "vocab_size": 150,
    "hidden_size": 36,
    "intermediate_size": 50,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "max_position_embeddings": 70,
}
MODERN: dict[str, Any] = {
    **BERT,
    "hidden_size": 48,
    "num_hidden_layers": 4,
    "max_position_embeddings": 100,
    "local_attention": 10,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "cls_token_id": 1,
    "eos_token_id": 2,
    "sep_token_id": 2,
}

CASES: dict[str, dict[str, Any]] = {
    "xlm_roberta": {
        "note": "one token type, positions behind the padding token's row, hidden states",
        "kind": "hidden",
        "config": {"model_type": "xlm-roberta", **BERT, "type_vocab_size": 1},
        "lengths": (31, 12, 1),
    },
    "xlm_roberta_multi_label": {
        "note": "labels that do not exclude each other",
        "kind": "classify",
        "config": {
            "model_type": "xlm-roberta", **BERT, "num_labels": 5, "problem_type": "multi_label_classification",
        },
        "lengths": (20, 3, 7),
    },
    "bert_tag": {
        "note": "token classification, tanh GELU, odd sizes",
        "kind": "tag",
        "config": {"model_type": "bert", **BERT, "num_labels": 5, "hidden_act": "gelu_new"},
        "lengths": (24, 11, 2),
    },
    "distilbert_tag": {
        "note": "token classification without a dense layer",
        "kind": "tag",
        "config": {
            "model_type": "distilbert", "vocab_size": 150, "dim": 36, "hidden_dim": 50, "n_layers": 2, "n_heads": 3,
            "max_position_embeddings": 40, "num_labels": 3,
        },
        "lengths": (24, 11, 2),
    },
    "mpnet_classify": {
        "note": "further than the last bucket of distances (128)",
        "kind": "classify",
        "config": {
            "model_type": "mpnet", **BERT, "max_position_embeddings": 180, "num_labels": 3,
        },
        "lengths": (170, 60, 5),
    },
    "modernbert_classify": {
        "note": "biases everywhere, the mean of a text's tokens, another activation in the head",
        "kind": "classify",
        "config": {
            "model_type": "modernbert", **MODERN, "norm_bias": True, "attention_bias": True, "mlp_bias": True,
            "classifier_bias": True, "classifier_pooling": "mean", "classifier_activation": "silu", "num_labels": 2,
        },
        "lengths": (64, 33, 4),
    },
    "modernbert_tag": {
        "note": "token classification behind a dense layer and a norm, no biases",
        "kind": "tag",
        "config": {"model_type": "modernbert", **MODERN, "num_labels": 4},
        "lengths": (40, 22, 1),
    },
}  # fmt: skip


def main() -> None:
    """Record the cases named on the command line, or all."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or CASES:
        record(name)


def record(name: str) -> None:
    """Write one case."""
    case, folder = CASES[name], OUTPUT / name
    shutil.rmtree(folder, ignore_errors=True)
    write_checkpoint(case, folder)
    kind = KINDS[case["kind"]]
    model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    rng = np.random.default_rng(SEED)
    lengths = case["lengths"]
    padding = model.config.pad_token_id or 0
    ids = np.full((len(lengths), max(lengths)), padding, np.int64)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        ids[row, :length], mask[row, :length] = rng.integers(3, 150, length), 1
    result = compute(model, ids, mask)
    alone = [compute(model, ids[k : k + 1, :n], mask[k : k + 1, :n])[0] for k, n in enumerate(lengths)]
    rows = [result[k] if result.ndim == 2 else result[k, :n] for k, n in enumerate(lengths)]
    noise = max(float(np.abs(a - b).max()) for a, b in zip(rows, alone, strict=True))
    results = {"hidden" if case["kind"] == "hidden" else "logits": result}
    np.savez_compressed(folder / "golden.npz", ids=ids, mask=mask, **results)
    meta = {
        "case": name,
        "architecture": type(model).__name__,
        "note": case["note"],
        "seed": SEED,
        "row_lengths": lengths,
        "output_std": round(float(np.concatenate([row.ravel() for row in rows]).std()), 3),
        "padded_vs_alone_max_abs": noise,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__},
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{name}: std {meta['output_std']}, padded against alone {noise:.1e}, {size / 1000:.0f} kB")


def write_checkpoint(case: dict[str, Any], folder: Path) -> None:
    """Write config.json and bfloat16 weights; norms and biases are random too, so that a wrong one shows."""
    values = dict(case["config"])
    config = AutoConfig.for_model(values.pop("model_type"), **values)
    torch.manual_seed(SEED)
    model = KINDS[case["kind"]].from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0.0, 0.2)
            if "norm" in name.lower() and name.endswith("weight"):
                parameter.add_(1.0)
    model.to(torch.bfloat16).save_pretrained(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, folder / "model.safetensors")
    path = folder / "config.json"
    written = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(written, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def compute(model: Any, ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return hidden states or logits."""
    with torch.no_grad():
        out = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask))
    return (out.logits if hasattr(out, "logits") else out.last_hidden_state).float().numpy()


if __name__ == "__main__":
    main()
