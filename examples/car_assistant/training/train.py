"""Trains the car assistant and writes its checkpoint: a tokenizer first, then the model.

    pip install torch==2.13.0 safetensors tokenizers
    python examples/car_assistant/training/train.py [--steps 6000] [--output DIR]

Everything is drawn from one seed. Another version of torch, or another processor, gives slightly other weights.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from commands import Commands
from safetensors.torch import save_file
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import functional
from transformer import Phi3

SEED = 1
STEPS, WARMUP, BATCH, POOL = 6000, 100, 128, 16
MATRICES_RATE, LEARNING_RATE = 2e-2, 3e-3
"""Of the layers' matrices, which Muon trains, and of what AdamW does: the embedding and the norms."""
WEIGHT_DECAY, DROPOUT = 0.1, 0.1

PAD, USER, ASSISTANT, END = SPECIAL = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>")
TEMPLATE = """\
{#- A command is understood alone: what was said before it is left out. -#}
{%- set said = messages | selectattr("role", "equalto", "user") | list | last -%}
{{- "<|user|> " + said["content"] -}}
{%- if messages[-1]["role"] == "assistant" -%}
{{- "<|assistant|>" + messages[-1]["content"] + "<|end|>" -}}
{%- elif add_generation_prompt -%}
{{- "<|assistant|>" -}}
{%- endif -%}
"""
PIECES = r"""\p{N}|"[:,] "?| ?[\p{L}'_]+| ?[^\s\p{L}\p{N}]+|\s+"""
"""What a token lies within: one digit, what joins two parts of JSON, a word, other characters, spaces."""

CONFIG = {
    "architectures": ["Phi3ForCausalLM"],
    "model_type": "phi3",
    "vocab_size": 1024,
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "hidden_act": "silu",
    "max_position_embeddings": 256,
    "original_max_position_embeddings": 256,
    "initializer_range": 0.05,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_dropout": 0.0,
    "embd_pdrop": 0.0,
    "resid_pdrop": 0.0,
    "sliding_window": None,
    "tie_word_embeddings": True,
    "pad_token_id": 0,
    "bos_token_id": None,
    "eos_token_id": 3,
    "torch_dtype": "float16",
    "use_cache": True,
}


def main() -> None:
    """Train, measure on phrasings that were never trained on, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parents[1])
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    torch.set_num_threads(options.threads)
    commands = Commands("trained")
    tokenizer = train_tokenizer(commands, options.seed)
    model = train(Phi3(CONFIG), tokenizer, commands, options.steps, options.seed)
    write(options.output, model, tokenizer)


def train_tokenizer(commands: Commands, seed: int) -> Tokenizer:
    """Return a byte-level BPE of lower-case letters, trained on what is said and answered."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace("\u2019", "'")])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=CONFIG["vocab_size"],
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    examples = itertools.islice(commands.stream(seed + 1, typos=0.0), 40_000)
    tokenizer.train_from_iterator((text for one in examples for text in (f" {one.sentence}", one.answer)), trainer)
    return tokenizer


def train(model: Phi3, tokenizer: Tokenizer, commands: Commands, steps: int, seed: int) -> Phi3:
    """Train on fresh sentences at each step; only the answers' tokens count."""
    # Muon (Jordan et al., 2024) needs about half the steps of AdamW; it is made for matrices that multiply.
    matrices = [weight for weight in model.model.layers.parameters() if weight.ndim == 2]
    norms = [weight for weight in model.parameters() if weight.ndim == 1]
    embedding = model.model.embed_tokens.weight
    groups = [{"params": [embedding], "weight_decay": WEIGHT_DECAY}, {"params": norms, "weight_decay": 0.0}]
    optimizers = (
        torch.optim.Muon(matrices, lr=MATRICES_RATE, weight_decay=WEIGHT_DECAY, adjust_lr_fn="original"),
        torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98)),
    )
    schedules = [torch.optim.lr_scheduler.LambdaLR(each, lambda step: rate(step + 1, steps)) for each in optimizers]
    drawn = batches(commands, tokenizer, seed + 2)
    began = time.perf_counter()
    for step, (ids, answers) in enumerate(itertools.islice(drawn, steps), 1):
        # Only what is to be answered counts, at the position in front of it.
        loss = functional.cross_entropy(model(ids[:, :-1], answers[:, 1:], DROPOUT), ids[:, 1:][answers[:, 1:]])
        model.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for each in (*optimizers, *schedules):
            each.step()
        if step % 100 == 0 or step == steps:
            print(f"{step:5} of {steps}: loss {loss.item():.4f}, {time.perf_counter() - began:.0f} s", flush=True)
    return model


def rate(step: int, steps: int) -> float:
    """Return the share of the learning rate at a step, from 1: it rises for a while, then falls as half a cosine."""
    return min(step / WARMUP, (1 + math.cos(math.pi * (step - 1) / steps)) / 2)


def batches(commands: Commands, tokenizer: Tokenizer, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield ids, int64 [batch, n], and which of them are the answer, bool [batch, n]; texts of like length together."""
    examples, chance = commands.stream(seed), random.Random(seed)
    while True:
        drawn = list(itertools.islice(examples, POOL * BATCH))
        asked = tokenizer.encode_batch([f"{USER} {one.sentence}{ASSISTANT}" for one in drawn])
        answered = tokenizer.encode_batch([f"{one.answer}{END}" for one in drawn])
        pairs = [(question.ids, reply.ids) for question, reply in zip(asked, answered, strict=True)]
        pairs.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        parts = [pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH)]
        chance.shuffle(parts)
        for part in parts:
            ids = torch.zeros(BATCH, max(len(q) + len(a) for q, a in part), dtype=torch.int64)
            answers = torch.zeros_like(ids, dtype=torch.bool)
            for row, (question, reply) in enumerate(part):
                ids[row, : len(question) + len(reply)] = torch.tensor(question + reply)
                answers[row, len(question) : len(question) + len(reply)] = True
            yield ids, answers


def write(folder: Path, model: Phi3, tokenizer: Tokenizer) -> None:
    """Write the checkpoint as published ones look."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().half().contiguous() for name, weight in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    tokenizer.save(str(folder / "tokenizer.json"))
    tokens = {"pad_token": PAD, "eos_token": END, "bos_token": None, "tokenizer_class": "PreTrainedTokenizerFast"}
    texts = {
        "config.json": CONFIG,
        "generation_config.json": {"do_sample": False, "eos_token_id": CONFIG["eos_token_id"], "pad_token_id": 0},
        "tokenizer_config.json": {**tokens, "model_max_length": CONFIG["max_position_embeddings"]},
    }
    for name, values in texts.items():
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    (folder / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    print(f"{sum(weight.numel() for weight in model.parameters()):,} parameters; SHA-256 of the weights: {digest}")


if __name__ == "__main__":
    main()
