"""Write a Phi-3 checkpoint as GGUF in Q4_0: `write_gguf.py CHECKPOINT OUTPUT`, in the environment `LLAMA_CPP`.

llama.cpp's own functions quantize, with the types that its `llama-quantize` chooses for Q4_0: Q6_K for the head,
float32 for norms. There is no vocabulary: the benchmark drives models by ids.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type

NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.qkv_proj.weight": "attn_qkv.weight",
    "self_attn.o_proj.weight": "attn_output.weight",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_up_proj.weight": "ffn_up.weight",
    "mlp.down_proj.weight": "ffn_down.weight",
}
Tensor = npt.NDArray[np.uint16]


def main(checkpoint: Path, output: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(output, "phi3")
    _describe(writer, config)
    tensors = dict(_tensors(checkpoint))
    for name, tensor in tensors.items():
        kind = _type(name, tensor)
        writer.add_tensor_info(name, tensor.shape, np.dtype(np.float32), _bytes(tensor, kind), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, tensor in tensors.items():
        writer.write_tensor_data(_encode(tensor, _type(name, tensor)))
    writer.close()


def _describe(writer: gguf.GGUFWriter, config: dict[str, int]) -> None:
    heads = config["num_attention_heads"]
    writer.add_name("phi3-mini-random")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("no_vocab")
    writer.add_vocab_size(config["vocab_size"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_sliding_window(config["sliding_window"])


def _tensors(checkpoint: Path) -> Iterator[tuple[str, Tensor]]:
    """Yield each tensor under llama.cpp's name, its bfloat16 values mapped from the files."""
    for path in sorted(checkpoint.glob("*.safetensors")):
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
        for name, entry in header.items():
            offset = 8 + length + entry["data_offsets"][0]
            yield _name(name), np.memmap(path, np.uint16, "r", offset, tuple(entry["shape"]))


def _name(name: str) -> str:
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{NAMES[rest]}"


def _type(name: str, tensor: Tensor) -> Type:
    return Type.F32 if tensor.ndim == 1 else Type.Q6_K if name == "output.weight" else Type.Q4_0


def _bytes(tensor: Tensor, kind: Type) -> int:
    values, size = gguf.GGML_QUANT_SIZES[kind]
    return tensor.size // values * size


def _encode(tensor: Tensor, kind: Type) -> npt.NDArray[np.uint8] | npt.NDArray[np.float32]:
    values = (tensor.astype(np.uint32) << 16).view(np.float32)
    if kind is Type.F32:
        return values
    rows, columns = values.shape
    found = np.empty(_bytes(tensor, kind), np.uint8)
    # size_t ggml_quantize_chunk(type, const float * src, void * dst, start, nrows, n_per_row, const float * imatrix)
    quantize = _ggml().ggml_quantize_chunk
    quantize.restype = ctypes.c_size_t
    quantize.argtypes = [ctypes.c_int, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3, ctypes.c_void_p]
    written = quantize(int(kind), values.ctypes.data, found.ctypes.data, 0, rows, columns, None)
    assert written == found.nbytes
    return found.reshape(rows, -1)


def _ggml() -> ctypes.CDLL:
    """Return the library that quantizes, of those that llama-cpp-python brings."""
    libraries = Path(llama_cpp.__file__).parent / "lib"
    return ctypes.CDLL(str(next(libraries.glob("*ggml-base.*"))))


main(Path(sys.argv[1]), Path(sys.argv[2]))
