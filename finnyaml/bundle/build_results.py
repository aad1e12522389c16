"""What a build has left behind, as bundle.json has it: resources, speed, accuracy, driver, and what is missing.

Everything is read by opening it, also where it may not be there: so a trace holds until such a file comes to be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from finnyaml.errors import StepFailed

RESOURCES = ("LUT", "LUTRAM", "SRL", "FF", "BRAM_36K", "BRAM_18K", "BRAM18", "URAM", "DSP")
ATTACH = "finnyaml bundle attach DIR"


def resources(report: Path) -> dict[str, Any]:
    """What FINN estimated and what Vivado needed, each with the report that says so; None where none does."""
    estimated = synthesised = None
    for name in ("estimate_layer_resources.json", "estimate_layer_resources_hls.json"):
        estimated = estimated or _resources(read_json(report / name), "total", name)
    for name in ("post_synth_resources.json", "post_synth_resources_0.json"):
        synthesised = synthesised or _resources(read_json(report / name), "(top)", name)
    name = "ooc_synth_and_timing.json"  # the accelerator alone, without DMA engines and the rest of the shell
    synthesised = synthesised or _resources({"": read_json(report / name)}, "", name)
    name = "rtl_synthesis.json"
    by_yosys = _resources((read_json(report / name) or {}).get("total"), "yosys", name)
    return {"estimated": estimated, "synthesised": synthesised, **({"by_yosys": by_yosys} if by_yosys else {})}


def performance(report: Path, clock_mhz: float | None) -> dict[str, Any]:
    """Throughput and latency at the clock that the recipe asks for: FINN's estimate (None where it made none), and what
    the simulated RTL showed, where it was simulated.
    """
    found, seen = read_json(report / "estimate_network_performance.json"), read_json(report / "rtl_simulation.json")
    estimated = found and {
        "fps": found["estimated_throughput_fps"],
        "latency_ms": found["estimated_latency_ns"] / 1e6,
        "cycles_per_frame": found["max_cycles"],
        "clock_mhz": clock_mhz,
    }
    simulated = seen and {
        "fps": seen["fps"],
        "latency_ms": seen["latency"] * seen["clock_ns"] / 1e6,
        "cycles_per_frame": seen["interval"],
        "clock_mhz": 1e3 / seen["clock_ns"],
    }
    return {"estimated": estimated, **({"simulated": simulated} if simulated and seen["interval"] else {})}


def accuracy(points: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The measurements of the build's verification points; None where nothing was measured, or is not a number.

    points: in the order of the build: what `finnyaml.verify.measure` gives, each with its `step`.
    """
    keys = ("step", "value", "shown", "samples", "state", "interval", "agreement")
    shown = [{key: point.get(key) for key in keys} for point in points]
    measured = [point for point in shown if isinstance(point["value"], (int, float))]
    if not measured:
        return None
    most = max(int(point["samples"] or 0) for point in measured)  # hardware is simulated on fewer samples than graphs
    final = [point for point in measured if point["samples"] == most][-1]
    metric = next(point["metric"] for point in points if point["state"] == "measured")
    k = re.fullmatch(r"top([0-9]+)", metric) if measured[-1]["interval"] else None
    known = ("agreement", "mse", "psnr", "max_abs")
    return {
        "metric": metric,
        "k": int(k[1]) if k else None,
        "kind": "top_k" if k else metric if metric in known else "python",
        "points": shown,
        "final": {key: final[key] for key in ("step", "value", "samples", "interval")},
    }


def driver(
    folder: Path,
    contract: Mapping[str, Any],
    given: Mapping[str, Any],
    target: Mapping[str, Any],
    *,
    instrumentation: bool,
) -> dict[str, Any]:
    """Which driver there is, with the weights that it loads.

    folder: the bundle; `driver/` has FINN's files where make_driver ran. given: `runtime_weights` and
    `external_weights`, as the accelerator's graph has them. target: as bundle.json has it. instrumentation: whether
    FINN was to build it in.
    Raises StepFailed: FINN's driver is of another accelerator than the contract.
    """
    settings = read_json(folder / "driver/settings.json")
    generated = (folder / "driver/driver.py").is_file()
    if settings is not None:
        _agrees(settings["driver_information"].get("io_shape_dict"), contract["accelerator"])
    usual = "FINNDMAInstrumentationOverlay" if instrumentation else "FINNDMAOverlay"
    return {
        "platform": target["platform"],
        "type": settings["driver_information"]["driver_type"] if settings else usual,
        "bitfile": None,
        "hwh": None,
        "settings": None if generated and settings is None else "driver/settings.json",
        "generated": "driver/driver.py" if generated else None,
        "clock_mhz": target["clock"]["requested_mhz"],
        "runtime_weights": list(given["runtime_weights"]),
        "external_weights": list(given["external_weights"]),
        "instrumentation": instrumentation,
    }


def missing(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """What this bundle lacks, why, and what to do; from nothing but its data, so that it holds after attach, too."""
    return [dict(zip(("what", "why", "remedy"), each, strict=True)) for each in _missing(data)]


def slack(report: Path) -> float | None:
    """The worst slack after routing, in ns, as Vivado's timing report says it; None where there is none."""
    try:
        text = (report / "post_route_timing.rpt").read_text("utf-8", errors="replace")
    except OSError:
        return None
    found = re.search(r"WNS\(ns\)[^\n]*\n[ -]*\n\s*(-?[0-9.]+)\s", text)
    return float(found[1]) if found else None


def read_json(path: Path) -> Any:
    """The data of a JSON file; None where there is none. Raises StepFailed: it is none."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise StepFailed(f"{path.name} is not JSON: {error}", hint="the step that wrote it was interrupted?") from error


def _resources(found: Any, entry: str, name: str) -> dict[str, Any] | None:
    counts = (found or {}).get(entry) or {}
    numbers = {key: counts[key] for key in RESOURCES if key in counts}
    whole = {key: int(number) if number == int(number) else number for key, number in numbers.items()}
    return {**whole, "source": f"report/{name}"} if numbers else None


def _agrees(shapes: Any, accelerator: Mapping[str, Any]) -> None:
    """FINN wrote its driver for the graph at that time; if it ran in another order, that may not be this one."""
    if shapes is None:
        return
    for letter, ports in (("i", accelerator["inputs"]), ("o", accelerator["outputs"])):
        shaped = ("normal", "folded", "packed")
        expected = {f"{letter}shape_{shape}": [port[shape] for port in ports] for shape in shaped}
        expected[f"{letter}dma_names"] = [port["name"] for port in ports]
        expected[f"{letter}dt"] = [f"DataType['{port['datatype']}']" for port in ports]
        for key, value in expected.items():
            unnamed = key.endswith("names") and not any(shapes.get(key) or ())  # until FINN's synthesis names them
            if shapes.get(key) != value and not unnamed:
                raise StepFailed(
                    f"FINN's driver/settings.json has {key} = {shapes.get(key)}, the accelerator's graph {value}",
                    hint="step_make_driver ran on another graph: let it run last, after all steps that change it",
                )


def _missing(data: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    target, now, contract = data["target"], data["driver"], data["contract"]
    alveo = target["platform"] == "alveo"
    option = "--bitfile x.xclbin" if alveo else "--bitfile x.bit --hwh x.hwh"
    elsewhere = f"build the recipe where {'Vitis' if alveo else 'Vivado'} is, or: {ATTACH} {option}"
    if now["bitfile"] is None:
        yield "bitfile", "FINN's step_synthesize_bitfile did not run in this build", elsewhere
        if not alveo:
            yield "hwh", "Vivado writes it together with the bitfile", "it comes with the bitfile"
        yield "achieved clock", "it is known once the design is placed and routed", "it comes with the bitfile"
    elif target["clock"]["achieved_mhz"] is None:
        yield "achieved clock", f"{now['hwh'] or now['bitfile']} does not say it", "ask who built the bitfile"
    if data["resources"]["synthesised"] is None:
        why = "this build has no report of a synthesis by Vivado"
        yield "synthesised resources", why, "build the recipe where Vivado is; until then there are estimates"
    slack_ns = target["clock"]["slack_ns"]
    if slack_ns is not None and slack_ns < 0:
        late = f"the slowest path is {-slack_ns:g} ns too slow for the clock (report/post_route_timing.rpt)"
        if data["attached"] is None:
            yield "met timing", late, "a longer target.clock_ns or another folding; results can be wrong now and then"
        else:
            why = f"in the build, {late}; no report says that the attached bitfile is faster"
            yield "met timing", why, "look for WNS in the attached bitfile's timing report: it must not be negative"
    if contract["hardware"]["kind"] == "missing":
        why = f"the accelerator has no graph that onnxruntime could run: {contract['hardware']['why']}"
        yield "emulation", why, "run it on the board"
    outside = [part for part in ("head", "tail") if contract[part]["kind"] == "onnxruntime"]
    if outside and (target["part"] or "").startswith("xc7z"):
        why = f"the host's {' and '.join(outside)} needs it, and there is none for 32-bit ARM"
        remedy = "train the network so that these operators become part of the accelerator"
        yield "onnxruntime on this board", why, remedy
