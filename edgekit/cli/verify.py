"""`edgekit verify`: is a bundle right, and what did quantization cost?"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from edgekit.cli import options
from edgekit.errors import UsageError


def command(
    bundle: options.BundlePath,
    against: Annotated[
        str | None,
        typer.Option("--against", metavar="SOURCE", help="The checkpoint it was made from: measures the quantization."),
    ] = None,
    adapter: options.Adapter = None,
    json: options.Json = False,
) -> int:
    """Measure how faithful a bundle is, write the figures into its manifest, and exit with 1 if it falls short."""
    from edgekit import registry
    from edgekit.bundle import Bundle
    from edgekit.cli import tables
    from edgekit.cli.progress import watch

    if adapter is not None and against is None:
        raise UsageError("--adapter goes with --against", "give the checkpoint that it was merged into as well")
    with watch() as progress:
        verification = registry.call("verify", "verify", bundle, against, adapter, progress=progress)
    if json:
        tables.print_json(verification.to_json())
    else:
        exact = Bundle.open(bundle).manifest.quantization.get("mode") == "none"
        print_verification(str(bundle), exact, verification.to_json())
    return 0 if verification.passed else 1


def print_verification(bundle: str, exact: bool, result: Mapping[str, Any]) -> None:
    """Print what was measured beside what is demanded."""
    from edgekit.cli import tables

    rows: list[tuple[str, ...]] = []
    for name, verdict in result["formats"].items():
        engine = f"{name} ({verdict['engine']})" if verdict["engine"] else name
        rows += [(engine, *row) for row in _fidelity_rows(verdict, exact)]
        rows += [(engine, *row) for row in _loss_rows(verdict.get("loss"))]
    rows += [(name, "not measured", reason, "", "fail") for name, reason in result["unmeasured"].items()]
    for name in ("tokenizer", "template"):
        agrees = result[f"{name}_agrees"]
        if agrees is not None:
            same = "yes" if agrees else "no"
            rows.append(("texts", f"{name} as the checkpoint's", same, "yes", "pass" if agrees else "fail"))
    tables.print_table(bundle, ("format", "figure", "measured", "demanded", ""), rows)
    print(f"\n{'passed' if result['passed'] else 'FAILED'}: the figures are in the bundle's manifest")


def _fidelity_rows(verdict: Mapping[str, Any], exact: bool) -> list[tuple[str, ...]]:
    """Return the figures that decide, against the reference computing with the same weights."""
    from edgekit import registry

    found = verdict["fidelity"]
    if "cosine" in found:
        return _encoder_rows(found, exact, "the reference" if verdict["reference"] == "computed" else "the checkpoint")
    limits = registry.exporter("figures")
    share = 1.0 if exact else limits.QUANTIZED_TOP1
    key, figure, limit = (
        ("max_error", "largest difference", limits.FLOAT_ERROR)
        if exact
        else ("rms_error", "RMS difference", limits.QUANTIZED_RMS)
    )
    top1 = f"{found['top1_decided']:.2%} of {found['decided']} clear positions"
    return [
        ("same best token as the reference", top1, f"≥ {share:.0%}", _verdict(found["top1_decided"] >= share)),
        (f"{figure} to the reference", f"{found[key]:.2g}", f"≤ {limit:g}", _verdict(found[key] <= limit)),
    ]


def _encoder_rows(found: Mapping[str, Any], exact: bool, truth: str) -> list[tuple[str, ...]]:
    from edgekit import registry

    limits = registry.exporter("verify_encoder")
    limit = limits.FLOAT_COSINE if exact else limits.QUANTIZED_COSINE
    cosine = found["cosine_min"] if exact else found["cosine"]
    rows: list[tuple[str, ...]] = [(f"cosine to {truth}", f"{cosine:.5f}", f"≥ {limit:g}", _verdict(cosine >= limit))]
    if exact:
        error = found["max_error"]
        limit = limits.FLOAT_ERROR
        rows.append((f"largest difference to {truth}", f"{error:.2g}", f"≤ {limit:g}", _verdict(error <= limit)))
    return rows


def _loss_rows(found: Mapping[str, Any] | None) -> list[tuple[str, ...]]:
    """Return the price of the quantization, which has no threshold: it is what was asked for."""
    if found is None:
        return []
    if "cosine" in found:
        lowest = f"{found['cosine']:.4f}, lowest {found['cosine_min']:.4f}"
        rows: list[tuple[str, ...]] = [("cosine to unquantized", lowest, "", "")]
        if found["same_label"] is not None:
            rows.append(("same label as unquantized", f"{found['same_label']:.1%} of {found['rows']}", "", ""))
        return rows
    perplexity = f"{found['perplexity']:.2f}, was {found['perplexity_unquantized']:.2f}"
    change = found["perplexity"] / found["perplexity_unquantized"] - 1
    return [
        ("same best token as unquantized", f"{found['top1']:.1%} of {found['positions']} positions", "", ""),
        ("KL divergence from unquantized", f"{found['kl']:.4f} nats", "", ""),
        ("perplexity", f"{perplexity} ({change:+.1%})", "", ""),
    ]


def _verdict(passed: bool) -> str:
    return "pass" if passed else "fail"
