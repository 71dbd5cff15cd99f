"""OpenVINO on the CPU, through its paged attention; through the file's own stateful form where that cannot hold it."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from edgekit.bundle import Bundle
from edgekit.decoder import Availability, Decoder, LoadOptions
from edgekit.errors import install_hint
from edgekit_runtimes._openvino_engine import engine, load_error, read_model, settings
from edgekit_runtimes._openvino_graph import Hooks, make_paged, note
from edgekit_runtimes._openvino_paged import PagedDecoder
from edgekit_runtimes._openvino_stateful import StatefulDecoder

OLDEST = (2026, 0)
"""The oldest version whose paged attention has the inputs that are driven here."""

FILES = ("openvino/openvino_model.xml", "openvino/openvino_model.bin")


class OpenvinoRuntime:
    """The runtime, for the registry."""

    name = "openvino"
    format = "openvino"

    def available(self) -> Availability:
        """Say whether openvino is installed and new enough."""
        hint = install_hint("openvino")
        try:
            version = importlib.metadata.version("openvino")
        except importlib.metadata.PackageNotFoundError:
            return Availability(ok=False, reason="openvino is not installed", hint=hint)
        if tuple(int(part) for part in version.split(".")[:2]) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            return Availability(
                ok=False, version=version, reason=f"openvino {version} is older than {oldest}", hint=hint
            )
        return Availability(ok=True, version=version)

    def open_decoder(self, bundle: Bundle, options: LoadOptions) -> Decoder:
        """Load the model."""
        xml, weights = (bundle.file(name) for name in FILES)
        return open_model(xml, weights, bundle, options)


RUNTIME = OpenvinoRuntime()


def open_model(xml: Path, weights: Path, bundle: Bundle, options: LoadOptions) -> PagedDecoder | StatefulDecoder:
    """Read, change and compile a model."""
    ov, spec = engine(), bundle.manifest.spec
    core = ov.Core()
    model = read_model(core, xml, weights)
    chosen = settings(core, options, note(model, "quantization"))
    hooks = Hooks(model)
    paged = make_paged(ov, model, spec)
    if not paged and any(node.get_type_name() == "PagedAttentionExtension" for node in model.get_ops()):
        model = read_model(core, xml, weights)
        hooks = Hooks(model)
    # In the paged form a token is a row of a batch, in the other one of a sequence.
    hooks.install(ov, axis=0 if paged else 1)
    try:
        compiled = core.compile_model(model, "CPU", chosen)
    except Exception as error:
        raise load_error(xml, error) from error
    decoder = PagedDecoder if paged else StatefulDecoder
    return decoder(ov, compiled, spec.vocab_size, options.context)
