"""`edgekit export`: from a checkpoint to a bundle."""

import enum
import shlex
import time
from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli import figures, options
from edgekit.errors import UsageError


class Quantization(str, enum.Enum):
    """What `--quantize` takes."""

    AUTO = "auto"
    INT4 = "int4"
    INT8 = "int8"
    NONE = "none"
    KEEP = "keep"


class Via(str, enum.Enum):
    """What `--via` takes."""

    OPTIMUM = "optimum"


def command(
    source: options.Source,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="The folder of the bundle. (default: NAME.edge)"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the output folder if it exists.")] = False,
    to: Annotated[str, typer.Option("--to", metavar="FORMATS", help="Formats to write, separated by commas.")] = "onnx",
    quantize: Annotated[
        Quantization,
        typer.Option(
            "--quantize",
            metavar="auto|int4|int8|none|keep",
            help="Bits of the weights; auto is int8 below 500 M parameters and int4 above, keep what a GGUF file has.",
        ),
    ] = Quantization.AUTO,
    context: Annotated[
        int | None,
        typer.Option("--context", metavar="N", min=1, help="The longest context. (default: the model's, at most 4096)"),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="The bundle's name. (default: the checkpoint's)")
    ] = None,
    adapter: options.Adapter = None,
    genai: Annotated[
        bool, typer.Option("--genai", help="Beside openvino, write the tokenizer's models for OpenVINO GenAI.")
    ] = False,
    litertlm: Annotated[
        bool, typer.Option("--litertlm", help="Beside tflite, pack model.litertlm for LiteRT-LM: as large again.")
    ] = False,
    via: Annotated[
        Via | None,
        typer.Option(
            "--via",
            metavar="optimum",
            help="Another exporter, for encoders and classifiers EdgeKit does not write itself.",
        ),
    ] = None,
    json: options.Json = False,
) -> None:
    """Read a checkpoint, quantize it and write a bundle that a device can run."""
    from edgekit import registry
    from edgekit.bundle import Bundle
    from edgekit.cli import describe, tables
    from edgekit.cli.progress import watch

    formats = tuple(part.strip() for part in to.split(",") if part.strip())
    if not formats:
        raise UsageError(f"--to {to!r} names no format", "for example: --to onnx")
    companions = [name for name, wanted in (("genai", genai), ("litertlm", litertlm)) if wanted]
    began = time.perf_counter()
    with watch() as progress:
        path = registry.call(
            "export", "export", source, to=formats, quantize=quantize.value, output=output,
            context=context, name=name, adapter=adapter, companions=companions, force=force,
            via=None if via is None else via.value, progress=progress,
        )  # fmt: skip
    elapsed = time.perf_counter() - began
    bundle = Bundle.open(path)
    if json:
        tables.print_json({**describe.bundle_json(bundle), "seconds": elapsed})
        return
    facts = [*describe.bundle_facts(bundle), ("time", figures.seconds(elapsed))]
    tables.print_facts(f"Wrote {path}", facts)
    task = bundle.manifest.task
    if task != "generate":
        print(f"\nTry it:  echo A text. | edgekit {task} {shlex.quote(str(path))}")
        return
    prompt = '"Why is the sky blue?"' if bundle.tokenizer_path() else '--ids "1 2 3"'
    print(f"\nTry it:  edgekit run {shlex.quote(str(path))} {prompt}")
