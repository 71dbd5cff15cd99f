"""`edgekit bench --runtime all`: every runtime that can open a bundle, and the fastest remembered.

Each is measured in a process of its own, one after another: engines keep threads and memory that would disturb the
next, and a device may have room for one of them only.
"""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.cli import figures, tables
from edgekit.errors import EdgekitError, RuntimeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from edgekit.bundle import Bundle
    from edgekit.speeds import Capacity, Measurement

_PARTS = {"prefill_tokens_per_second": "prefill", "decode_tokens_per_second": "decode",
          "encode_tokens_per_second": "encode"}  # fmt: skip
"""A figure of `edgekit bench`, and what it is a speed of."""


def compare(path: Path, options: Mapping[str, object]) -> dict[str, Any]:
    """Measure a bundle with every runtime that can open it, remember the speeds, and return it all as JSON values.

    Args:
        path: The bundle.
        options: Of `edgekit bench`, by their names without dashes.

    Raises:
        RuntimeUnavailableError: no runtime can open it.
        EdgekitError: none of those that can was able to.
    """
    from edgekit import registry
    from edgekit.bundle import Bundle
    from edgekit.cli import describe
    from edgekit.cli.progress import watch
    from edgekit.machine import physical_cores, read_cpu
    from edgekit.planning.machine_speed import capacity_of, measure

    with watch(brief=True) as progress:
        bundle = Bundle.open(path, progress)
    registry.explain_choice(bundle)  # there must be one
    able = registry.openers(bundle)
    versions = registry.usable_versions(able)
    left_out = {found.name: f"{each.reason}; {each.hint}" for found, each in able.items() if not each.ok}
    results, speeds = [], [measure(physical_cores())]
    for name in versions:
        try:
            results.append(_measured(path, name, options))
        except RuntimeUnavailableError as error:
            left_out[name] = error.message
    if not results:
        raise EdgekitError(f"none of {', '.join(versions)} could run {path}", "see what each of them said above")
    speeds.append(measure(physical_cores()))
    capacity = capacity_of(speeds, read_cpu().features)
    comparison = {
        "name": bundle.manifest.name,
        "size": describe.bundle_size(bundle),
        "runtimes": [{**result, "version": versions[result["runtime"]]} for result in results],
        "left_out": left_out,
        "capacity": vars(capacity),
    }
    measurement = measurement_of(
        bundle, results, f"edgekit bench, {dt.datetime.now(tz=dt.timezone.utc):%Y-%m-%d}", capacity
    )
    return comparison | _remembered(bundle, versions, measurement, default_threads="threads" not in options)


def _measured(path: Path, runtime: str, options: Mapping[str, object]) -> dict[str, Any]:
    """Measure one runtime in a process of its own; what it says goes on to standard error."""
    arguments = [f"--{name}" if value is True else f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "edgekit", "bench", str(path), "--runtime", runtime, "--json", *arguments]
    print(f"Measuring {runtime}", file=sys.stderr, flush=True)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            print(line, end="", file=sys.stderr, flush=True)
        shown = process.stdout.read()
    if process.returncode != 0:
        problem = next((line.removeprefix("error: ").strip() for line in said if line.startswith("error: ")), "")
        raise RuntimeUnavailableError(problem or f"its process ended with {process.returncode}")
    data: dict[str, Any] = json.loads(shown)
    return data


def _remembered(
    bundle: Bundle, versions: Mapping[str, str], measurement: Measurement, *, default_threads: bool
) -> dict[str, Any]:
    """Return the fastest, and keep the measurement where it is one of the machine as it is."""
    from edgekit.measured import remember

    ranked = measurement.ranked(measurement.speeds, measurement.workload)
    outcome = {
        "workload": measurement.workload,
        "seconds": {name: measurement.seconds(name, measurement.workload) for name in ranked},
        "fastest": ranked[0],
        "remembered": False,
        "problem": None,
    }
    if not default_threads:
        return outcome | {"problem": "measured with --threads, which other commands do not use"}
    try:
        remember(bundle, versions, measurement)
    except OSError as error:
        return outcome | {"problem": f"the cache folder cannot be written: {error}"}
    return outcome | {"remembered": True}


def measurement_of(
    bundle: Bundle, results: list[dict[str, Any]], source: str, capacity: Capacity | None = None
) -> Measurement:
    """Return what `edgekit bench` said of several runtimes as a measurement on this machine, of this capacity."""
    from edgekit import registry
    from edgekit.choice import this_cpu
    from edgekit.machine import this_processor
    from edgekit.planning.expected import work_of
    from edgekit.planning.outline import outline_of
    from edgekit.speeds import Measurement, Passes

    first, manifest = results[0], bundle.manifest
    tokens = {"prefill": first["prompt_tokens"], "decode": first["new_tokens"], "encode": first["prompt_tokens"]}
    parts = {figure: part for figure, part in _PARTS.items() if figure in first}
    formats = outline_of(bundle).formats
    runtimes = [registry.runtime(result["runtime"]) for result in results]
    files = [manifest.formats[each.format].files for each in runtimes]
    return Measurement(
        cpu=this_cpu(),
        task="generate" if manifest.task == "generate" else "encode",
        quantization=manifest.quantization.get("mode", "none"),
        size=min(sum(manifest.files[name].size for name in names) for names in files),
        source=source,
        workload={part: tokens[part] for part in parts.values()},
        speeds={
            result["runtime"]: {part: result[figure]["median"] for figure, part in parts.items()} for result in results
        },
        memory={result["runtime"]: result["peak_memory"] for result in results if result["peak_memory"]},
        passes={
            result["runtime"]: Passes(
                costs={size: value["median"] for size, value in result["passes"].items() if size != "change"},
                change=result["passes"]["change"]["median"],
            )
            for result in results
            if "passes" in result
        },
        capacity=capacity,
        work=work_of({each: formats[each.format] for each in runtimes}, this_processor()),
    )


def show(data: dict[str, Any]) -> None:
    """Print a comparison as a table, and what it means."""
    words = {
        "prefill_tokens_per_second": ("prefill", figures.rate),
        "decode_tokens_per_second": ("decode", figures.rate),
        "first_token_seconds": ("first token", figures.seconds),
        "encode_tokens_per_second": ("batches", figures.rate),
        "text_seconds": ("one text", figures.seconds),
    }
    results = {result["runtime"]: result for result in data["runtimes"]}
    first = next(iter(results.values()))
    shown = [figure for figure in words if figure in first]
    rows = []
    for name in data["seconds"]:
        result = results[name]
        peak = result["peak_memory"]
        speeds = [words[figure][1](result[figure]["median"]) for figure in shown]
        memory = figures.size(peak) if peak else ""
        load = figures.seconds(result["load_seconds"])
        used = result.get("energy", {})
        task = figures.joules(used["task"]["joules"]) if used.get("measurable") else ""
        rows.append((name, result["version"], load, *speeds, memory, figures.seconds(data["seconds"][name]), task))
    tokens = " + ".join(str(count) for count in data["workload"].values())
    titles = [words[figure][0] for figure in shown]
    header = ("runtime", "version", "load", *titles, "memory", f"{tokens} tokens", "energy")
    title = f"{data['name']}, medians of {first['rounds']} rounds"
    tables.print_table(title, header, rows, right=range(2, len(header)))
    for name, result in results.items():
        used = result.get("energy", {"measurable": True})
        if not used["measurable"]:
            print(f"\nThe energy of {name} is not measurable here: {used['reason']}")
    for name, reason in data["left_out"].items():
        print(f"\n{name} was left out: {reason}")
    remembered = "--runtime auto takes it for this bundle from now on" if data["remembered"] else data["problem"]
    level = "" if len(rows) == 1 else " is the best here"
    print(f"\n{data['fastest']}{level}; {'remembered' if data['remembered'] else 'not remembered'}: {remembered}.")
