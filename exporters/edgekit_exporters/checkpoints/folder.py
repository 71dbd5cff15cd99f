"""Reads a checkpoint folder as hubs have them: config.json, safetensors, and the files around them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgekit.errors import CheckpointError
from edgekit_exporters.checkpoint import Checkpoint, Source
from edgekit_exporters.checkpoints import refusals
from edgekit_exporters.checkpoints.files import DAMAGED, PositionedFile
from edgekit_exporters.checkpoints.json_files import parse_object, read_object, read_text
from edgekit_exporters.checkpoints.safetensors import SafetensorsRows, open_safetensors
from edgekit_exporters.checkpoints.sentence import read_sentence
from edgekit_exporters.imagined import Imagined

if TYPE_CHECKING:
    from pathlib import Path

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def open_folder(folder: Path, *, config_only: bool = False) -> Checkpoint:
    """Open a checkpoint folder; its tensors are read when they are asked for.

    With `config_only` a folder without weights will do: its tensors have no values.

    Raises:
        CheckpointError: something is missing, damaged or contradicts itself.
        UnsupportedError: pickled or quantized weights, or a tokenizer in another form than tokenizer.json.
    """
    if not (folder / "config.json").is_file():
        refusals.refuse_without_config(folder)
    config = read_object(folder / "config.json")
    refusals.refuse_quantized(config, folder)
    tokenizer_json = _tokenizer_json(folder)
    tokenizer_config = _optional_object(folder / "tokenizer_config.json")
    name = folder.resolve().name
    checkpoint = Checkpoint(
        name=name,
        source=Source(id=name, licence=_licence(folder)),
        config=config,
        tensors={},
        tokenizer_json=tokenizer_json,
        tokenizer_config=tokenizer_config,
        chat_template=_chat_template(folder, tokenizer_config),
        generation_config=_optional_object(folder / "generation_config.json"),
        sentence=read_sentence(folder),
        folder=folder,
    )
    if config_only and not any(folder.glob("*.safetensors")):
        checkpoint.tensors = Imagined(config)
        return checkpoint
    try:
        checkpoint.tensors = _open_tensors(folder, checkpoint)
        refusals.refuse_packed(checkpoint.tensors, folder)
    except BaseException:
        checkpoint.close()
        raise
    return checkpoint


def _open_tensors(folder: Path, checkpoint: Checkpoint) -> dict[str, SafetensorsRows]:
    def read(name: str) -> dict[str, SafetensorsRows]:
        file = PositionedFile(folder / name)
        checkpoint.closers.append(file.close)
        return open_safetensors(file)

    if (folder / SINGLE).is_file():
        return read(SINGLE)
    indexes = [folder / INDEX] if (folder / INDEX).is_file() else sorted(folder.glob("*.safetensors.index.json"))
    if indexes:
        return _sharded(indexes[0], read)
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    if not names:
        refusals.refuse_without_weights(folder)
    part = re.search(r"-(\d+)-of-(\d+)\.safetensors$", names[0])
    if len(names) > 1 or (part and int(part[2]) > 1):
        raise CheckpointError(f"{folder}: {len(names)} *.safetensors files without {INDEX}", "fetch the index as well")
    return read(names[0])


def _sharded(index: Path, read: Any) -> dict[str, SafetensorsRows]:  # noqa: ANN401 - the closure above
    """Return the tensors that the index lists, each from its shard."""
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map", "fetch it again")
    shards: dict[str, dict[str, SafetensorsRows]] = {}
    for name in dict.fromkeys(weight_map.values()):
        if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise CheckpointError(f"{index} names {name!r:.100} as a shard, which is not a file beside it", DAMAGED)
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index.parent}: the shard {name} is missing", "fetch the remaining shards")
        shards[name] = read(name)
    for tensor, name in weight_map.items():
        if tensor not in shards[name]:
            raise CheckpointError(
                f"{index}: the tensor {tensor} is not in {name}", "index and shards do not belong together"
            )
    return {tensor: shards[name][tensor] for tensor, name in weight_map.items()}


def _optional_object(path: Path) -> dict[str, Any]:
    return read_object(path) if path.is_file() else {}


def _tokenizer_json(folder: Path) -> str | None:
    path = folder / "tokenizer.json"
    if not path.is_file():
        refusals.refuse_foreign_tokenizer(folder)
        return None
    text = read_text(path)
    parse_object(text, path)
    return text


def _chat_template(folder: Path, tokenizer_config: dict[str, Any]) -> str | None:
    """Return the chat template from where transformers looks for it, in its order."""
    if (folder / "chat_template.jinja").is_file():
        return read_text(folder / "chat_template.jinja")
    found = _optional_object(folder / "chat_template.json").get("chat_template") or tokenizer_config.get(
        "chat_template"
    )
    where = folder / "tokenizer_config.json"
    if isinstance(found, list):
        named = {entry.get("name"): entry.get("template") for entry in found if isinstance(entry, dict)}
        if "default" not in named:
            raise CheckpointError(
                f"{where}: none of the chat templates {sorted(map(str, named))} is the default", _NAME_ONE
            )
        found = named["default"]
    if found is not None and not isinstance(found, str):
        raise CheckpointError(f"{where}: the chat template is {type(found).__name__}, not text", _NAME_ONE)
    return found or None


def _licence(folder: Path) -> str | None:
    """Return `license` of the README's front matter (`license_name` where that says "other")."""
    if not (folder / "README.md").is_file():
        return None
    front = re.match(r"---\s*\n(.*?)\n---", read_text(folder / "README.md").replace("\r\n", "\n"), re.DOTALL)
    if not front:
        return None
    found = dict(
        re.findall(r"^(license|license_name):[ \t]*(?:\n- *)?[\"']?([^\"'#\n]+?)[\"']?[ \t]*$", front[1], re.MULTILINE)
    )
    licence = found.get("license")
    return found.get("license_name", licence) if licence == "other" else licence


_NAME_ONE = 'chat_template must be text, or a list of {"name", "template"} with one named "default"'
