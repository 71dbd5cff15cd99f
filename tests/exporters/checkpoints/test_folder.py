from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import CheckpointError, EdgekitError, UnsupportedError
from edgekit_exporters.checkpoints.folder import open_folder

Write = Callable[..., Path]

CASES = ["llama_gqa", "llama_bias", "llama_tied_llama3rope", "smollm_like", "phi3", "gpt2"]


def put(folder: Path, name: str, value: Any) -> None:
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize("case", CASES)
def test_recorded_checkpoints_open_with_all_their_tensors(shared: Path, case: str) -> None:
    path = shared / "golden" / "decoders" / case
    with open_folder(path) as checkpoint:
        assert checkpoint.name == case
        assert checkpoint.config == json.loads((path / "config.json").read_text(encoding="utf-8"))
        assert checkpoint.tokenizer_json is None
        assert checkpoint.chat_template is None
        matrices = [rows for rows in checkpoint.tensors.values() if len(rows.shape) <= 2]
        assert all(np.isfinite(rows.all()).all() and rows.all().any() for rows in matrices)


def test_the_embedding_gives_the_recorded_hidden_states(shared: Path) -> None:
    """Truth from transformers: of a llama, the first hidden state is the rows of the embedding."""
    for case in ("llama_gqa", "llama_bias", "smollm_like"):
        golden = np.load(shared / "golden" / "decoders" / case / "golden.npz")
        with open_folder(shared / "golden" / "decoders" / case) as checkpoint:
            table = checkpoint.tensors["model.embed_tokens.weight"].all()
        np.testing.assert_array_equal(table[golden["ids_1"]], golden["hs_1"][0])


def test_sharded_tensors_come_from_their_shards(shared: Path) -> None:
    with open_folder(shared / "golden" / "decoders" / "smollm_like") as checkpoint:
        files = {rows.file.path.name for rows in checkpoint.tensors.values()}  # type: ignore[attr-defined]
    assert len(files) == 4


def test_closing_closes_the_files(folder: Path) -> None:
    checkpoint = open_folder(folder)
    checkpoint.close()
    with pytest.raises(ValueError, match="closed"):
        checkpoint.tensors["w"].all()


def test_the_files_around_the_weights_are_read(folder: Path) -> None:
    put(folder, "tokenizer.json", {"version": "1.0", "model": {"type": "BPE"}})
    put(folder, "tokenizer_config.json", {"bos_token": "<s>", "chat_template": "from the config"})
    put(folder, "generation_config.json", {"eos_token_id": [1, 2]})
    put(folder, "README.md", "---\nlanguage:\n- en\nlicense: apache-2.0\n---\n# Tiny\nlicense: no\n")
    with open_folder(folder) as checkpoint:
        assert json.loads(checkpoint.tokenizer_json or "")["model"] == {"type": "BPE"}
        assert checkpoint.tokenizer_config["bos_token"] == "<s>"
        assert checkpoint.generation_config == {"eos_token_id": [1, 2]}
        assert checkpoint.chat_template == "from the config"
        assert (checkpoint.source.id, checkpoint.source.licence) == ("tiny", "apache-2.0")


@pytest.mark.parametrize(
    ("front", "licence"),
    [
        ("license: mit", "mit"),
        ("license: 'llama3.1'  ", "llama3.1"),
        ("license:\n- apache-2.0\nlanguage: en", "apache-2.0"),
        ("license: other\nlicense_name: gemma-terms", "gemma-terms"),
        ("license: other", "other"),
        ("language: en", None),
    ],
)
def test_the_licence_comes_from_the_front_matter(folder: Path, front: str, licence: str | None) -> None:
    put(folder, "README.md", f"---\n{front}\n---\ntext")
    with open_folder(folder) as checkpoint:
        assert checkpoint.source.licence == licence


def test_the_chat_template_is_looked_for_where_transformers_does(folder: Path) -> None:
    named = [{"name": "tool_use", "template": "tools"}, {"name": "default", "template": "plain"}]
    put(folder, "tokenizer_config.json", {"chat_template": named})
    with open_folder(folder) as checkpoint:
        assert checkpoint.chat_template == "plain"
    put(folder, "chat_template.json", {"chat_template": "from json"})
    with open_folder(folder) as checkpoint:
        assert checkpoint.chat_template == "from json"
    put(folder, "chat_template.jinja", "from jinja\n")
    with open_folder(folder) as checkpoint:
        assert checkpoint.chat_template == "from jinja\n"


def test_templates_without_a_default_are_refused(folder: Path) -> None:
    put(folder, "tokenizer_config.json", {"chat_template": [{"name": "rag", "template": "x"}]})
    with pytest.raises(CheckpointError, match="rag"):
        open_folder(folder)
    put(folder, "tokenizer_config.json", {"chat_template": 5})
    with pytest.raises(CheckpointError, match="int, not text"):
        open_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
def test_pickled_weights_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    put(folder, name, "x")
    with pytest.raises(UnsupportedError, match=rf"pickled \({name}\)") as caught:
        open_folder(folder)
    assert "safetensors" in caught.value.hint


def test_pickled_weights_beside_safetensors_are_ignored(folder: Path) -> None:
    put(folder, "pytorch_model.bin", "x")
    with open_folder(folder) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]


@pytest.mark.parametrize(
    ("config", "method"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, "GPTQ"),
        ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "AWQ"),
        ({"quantization_config": {"quant_method": "fp8"}}, "FP8"),
        ({"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"load_in_8bit": True}}, "bitsandbytes"),
        ({"quantization_config": {"quant_method": "compressed-tensors"}}, "compressed-tensors"),
        ({"quantization_config": {"bits": 4}}, "an unnamed method"),
        ({"quantization": {"group_size": 64, "bits": 4}}, "MLX"),
        ({"text_config": {"quantization_config": {"quant_method": "gptq"}}}, "GPTQ"),
    ],
)
def test_quantized_checkpoints_are_refused_by_the_method(folder: Path, config: dict[str, Any], method: str) -> None:
    put(folder, "config.json", {"model_type": "llama", **config})
    with pytest.raises(UnsupportedError, match=f"quantized with {method}"):
        open_folder(folder)


def test_gptq_is_recognised_without_the_config(folder: Path, write_safetensors: Write) -> None:
    write_safetensors(folder / "model.safetensors", {"layers.0.q.qweight": np.zeros(4, np.uint8)})
    with pytest.raises(UnsupportedError, match=r"GPTQ or AWQ \(the tensor layers\.0\.q\.qweight\)"):
        open_folder(folder)
    put(folder, "quantize_config.json", {"bits": 4})
    with pytest.raises(UnsupportedError, match="GPTQ"):
        open_folder(folder)


@pytest.mark.parametrize("name", ["tokenizer.model", "vocab.json", "vocab.txt", "tekken.json"])
def test_a_vocabulary_without_tokenizer_json_is_refused(folder: Path, name: str) -> None:
    put(folder, name, "x")
    with pytest.raises(UnsupportedError, match=f"a {name} without tokenizer.json") as caught:
        open_folder(folder)
    assert "save_pretrained" in caught.value.hint
    put(folder, "tokenizer.json", {})
    with open_folder(folder) as checkpoint:
        assert checkpoint.tokenizer_json == "{}"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize("content", ['{"a": ', "[1]", "<html>", "[" * 100_000])
def test_invalid_json_is_refused_by_the_file(folder: Path, name: str, content: str) -> None:
    put(folder, name, content)
    with pytest.raises(CheckpointError, match=name) as caught:
        open_folder(folder)
    assert caught.value.hint


def test_text_that_is_not_utf8_is_refused(folder: Path) -> None:
    (folder / "config.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(CheckpointError, match=r"config\.json is not UTF-8"):
        open_folder(folder)


def test_folders_that_are_no_checkpoint_say_what_they_are(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        open_folder(folder)
    put(folder, "adapter_config.json", {})
    with pytest.raises(CheckpointError, match="LoRA"):
        open_folder(folder)
    put(folder, "edgekit.json", {})
    with pytest.raises(CheckpointError, match="bundle already"):
        open_folder(folder)
    put(folder, "model.gguf", "")
    with pytest.raises(CheckpointError, match="GGUF") as caught:
        open_folder(folder)
    assert "model.gguf" in caught.value.hint


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is empty"):
        open_folder(tmp_path)


def test_no_weights_at_all_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no \*\.safetensors"):
        open_folder(folder)


def test_one_file_of_another_name_is_read(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    with open_folder(folder) as checkpoint:
        assert list(checkpoint.tensors) == ["w"]


@pytest.fixture
def sharded(folder: Path, write_safetensors: Write) -> Path:
    (folder / "model.safetensors").unlink()
    for i in (1, 2):
        name = f"model-0000{i}-of-00002.safetensors"
        write_safetensors(folder / name, {f"w{i}": np.full((2, 2), i, np.float32)})
    weight_map = {f"w{i}": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}
    put(folder, "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    return folder


def test_shards_are_put_together(sharded: Path) -> None:
    with open_folder(sharded) as checkpoint:
        assert {name: rows.all()[0, 0] for name, rows in checkpoint.tensors.items()} == {"w1": 1, "w2": 2}


def test_a_missing_shard_is_named(sharded: Path) -> None:
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"the shard model-00002-of-00002\.safetensors is missing"):
        open_folder(sharded)


def test_a_missing_index_is_named(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").unlink()
    with pytest.raises(CheckpointError, match=r"without model\.safetensors\.index\.json"):
        open_folder(sharded)
    (sharded / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"1 \*\.safetensors files without"):
        open_folder(sharded)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"w1": "../tiny/model-00001-of-00002.safetensors"}}, "not a file beside it"),
        ({"weight_map": {"w1": "/etc/passwd"}}, "not a file beside it"),
        ({"weight_map": {"w1": None}}, "not a file beside it"),
        ({"weight_map": {"w9": "model-00001-of-00002.safetensors"}}, "the tensor w9 is not in"),
        ({"weight_map": []}, "no weight_map"),
        ({}, "no weight_map"),
    ],
)
def test_a_lying_index_is_refused(sharded: Path, index: Any, message: str) -> None:
    put(sharded, "model.safetensors.index.json", index)
    with pytest.raises(EdgekitError, match=message):
        open_folder(sharded)
