"""The architecture of Phi-3 in torch, as small as it gets, under the names of published checkpoints.

Abdin et al., 2024, arXiv 2404.14219; modeling_phi3.py of transformers. One rope, no window, heads of their own keys.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Phi3(nn.Module):
    """int64 [batch, n] token ids, bool [batch, n] wanted -> float32 [wanted, vocabulary] logits."""

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__()
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(config["vocab_size"], config["hidden_size"])
        self.model.layers = nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))
        self.model.norm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        head_dim = config["hidden_size"] // config["num_attention_heads"]
        frequencies = config["rope_theta"] ** -(torch.arange(0, head_dim, 2) / head_dim)
        angles = torch.arange(config["max_position_embeddings"])[:, None] * frequencies.repeat(2)[None]
        self.register_buffer("rope", torch.stack([angles.cos(), angles.sin()]), persistent=False)
        for weight in self.parameters():
            if weight.ndim == 2:
                nn.init.normal_(weight, std=config["initializer_range"])

    def forward(self, ids: Tensor, wanted: Tensor, dropout: float = 0.0) -> Tensor:
        """Compute the logits of the `wanted` positions; `dropout` of what each half of a layer adds is left out."""
        x = self.model.embed_tokens(ids)
        rope = self.rope[:, : ids.shape[1]]
        for layer in self.model.layers:
            x = x + functional.dropout(layer.self_attn(layer.input_layernorm(x), rope), dropout)
            x = x + functional.dropout(layer.mlp(layer.post_attention_layernorm(x)), dropout)
        return functional.linear(self.model.norm(x[wanted]), self.model.embed_tokens.weight)


class Layer(nn.Module):
    """One block; its halves are called by the model."""

    def __init__(self, config: dict[str, int | float]) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.self_attn = Attention(config["hidden_size"], config["num_attention_heads"])
        self.post_attention_layernorm = RMSNorm(config["hidden_size"], config["rms_norm_eps"])
        self.mlp = MLP(config["hidden_size"], config["intermediate_size"])


class Attention(nn.Module):
    """Causal attention with rotary positions; q, k and v are one matrix."""

    def __init__(self, size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv_proj = nn.Linear(size, 3 * size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor, rope: Tensor) -> Tensor:
        """[batch, n, size] -> the same."""
        q, k, v = self.qkv_proj(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(_rotate(q, rope), _rotate(k, rope), v, is_causal=True)
        return self.o_proj(x.transpose(1, 2).flatten(-2))


class MLP(nn.Module):
    """SwiGLU; gate and up are one matrix."""

    def __init__(self, size: int, inner: int) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(size, 2 * inner, bias=False)
        self.down_proj = nn.Linear(inner, size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[batch, n, size] -> the same."""
        gate, up = self.gate_up_proj(x).chunk(2, -1)
        return self.down_proj(functional.silu(gate) * up)


class RMSNorm(nn.Module):
    """x / rms(x) * weight."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """[..., size] -> the same."""
        return functional.rms_norm(x, self.weight.shape, self.weight, self.eps)


def _rotate(x: Tensor, rope: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * rope[0] + torch.cat([-second, first], -1) * rope[1]
