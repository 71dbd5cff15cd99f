"""Pack a .tflite and its tokenizer as the .litertlm that LiteRT-LM opens; runs in the environment `LITERT_LM`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from litert_lm_builder import litertlm_builder as builder


def main(bundle: Path, output: Path, context: int, eos_id: int) -> None:
    stop = f"stop_tokens {{ token_ids {{ ids: {eos_id} }} }}"
    metadata = f"max_num_tokens: {context}\n{stop}\nllm_model_type {{ generic_model {{}} }}\n"
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "metadata.textproto"
        text.write_text(metadata, encoding="utf-8")
        file = builder.LitertLmFileBuilder()
        file.add_system_metadata(builder.Metadata(key="Authors", value="EdgeKit", dtype=builder.DType.STRING))
        file.add_llm_metadata(str(text))
        file.add_hf_tokenizer(str(bundle / "tokenizer.json"))
        file.add_tflite_model(str(bundle / "tflite" / "model.tflite"), builder.TfLiteModelType.PREFILL_DECODE)
        with output.open("wb") as stream:
            file.build(stream)


main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
