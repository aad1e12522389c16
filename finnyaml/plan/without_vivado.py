"""What the open toolchain cannot do of what a recipe asks for, found before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from finnyaml.errors import Problem
from finnyaml.finn import aliases, versions
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.settings import FinnConfig
from finnyaml.plan.placed import Placed
from finnyaml.plan.task import Task
from finnyaml.recipe.model import Recipe
from finnyaml.steps import open_rtl
from finnyaml.text import listed
from finnyaml.tools.needs import needs

MINIMAL = "force_minimal_fifos"
"""FINN's FIFO strategy that sizes nothing: FIFOs of the least depth."""

STITCHED = frozenset(("rtl.simulate", "rtl.synthesize", "rtl.export"))
"""Steps that work with the design that rtl.stitch made."""

WITHOUT_EFFECT = ("enable_instrumentation", "stitched_ip_gen_dcp", "signature")
"""What FINN's create_stitched_ip reads and rtl.stitch does not have."""

CALL_HLS = frozenset(("step_hw_ipgen", "step_generate_hardware"))
"""FINN's steps that call Vitis HLS for every HLS layer."""


def by_finn(points: Iterable[str], steps: Collection[str], catalog: Catalog, toolchain: str) -> list[str]:
    """Of FINN's verification points those that FINN has to run; a step of ours among `steps` answers the others."""
    return [
        point
        for point in points
        if open_rtl.SIMULATED_IN.get(point) not in steps
        or (toolchain == "vivado" and catalog.points.get(point) in steps)
    ]


def for_verification(task: Task, tool: str, catalog: Catalog) -> str:
    """Why a task needs a tool, where it is only for FINN's verification in it; empty where it needs the tool anyway."""
    points = task.config.get("verify_steps")
    if not points or task.declared.users_code:
        return ""
    without = {**task.defaults, **task.config, "verify_steps": []}
    if tool in needs(task.uses, without, distribution=catalog.distribution):
        return ""
    mine = [point for point in points if catalog.points.get(point) == task.uses] or points
    return f"for the verification {', '.join(mine)}: leave it out of `finn: {{verify_steps: ...}}` to build without it"


def unanswered(point: str) -> tuple[str, str]:
    """Message and hint where the open toolchain has nothing that runs a point of FINN."""
    step = open_rtl.SIMULATED_IN[point]
    outputs = [open_rtl.OUTPUTS[name] for name, steps in open_rtl.SUBSTITUTES.items() if step in steps]
    message = f"with the open toolchain, {step} answers {point}, and it is not in the plan"
    return message, f"add {outputs[0]} to `outputs`, list {step}, or set `toolchain: vivado`"


def problems(recipe: Recipe, placed: Sequence[Placed], config: FinnConfig) -> Iterator[Problem]:
    """What the recipe asks for as a whole, where the toolchain is open."""
    steps = {item.uses for item in placed}
    for field in WITHOUT_EFFECT if "rtl.stitch" in steps else ():
        if config.values.get(field):
            hint = "leave it out, or set `toolchain: vivado`"
            message = f"with the open toolchain, rtl.stitch joins the layers: it has no `{field}`"
            yield Problem(message, recipe.at(config.pointers[field]), hint)
    for point in config.values.get("verify_steps") or ():
        if point in open_rtl.SIMULATED_IN and open_rtl.SIMULATED_IN[point] not in steps:
            message, hint = unanswered(point)
            yield Problem(message, recipe.at(("finn", "verify_steps")), hint)
    calls = next((item for item in placed if item.open and item.step in CALL_HLS), None)
    if calls is not None and calls.step and "step_specialize_layers" in steps and not _specialized(recipe):
        name = aliases.short(calls.step)
        yield Problem(
            f"FINN makes most layers in HLS by itself, and {name} needs Vitis HLS for each; the toolchain is open",
            recipe.at(calls.entry.pointer),
            "`specialize: {prefer: rtl}` makes RTL of every layer that can be; or set `toolchain: vivado`",
            "warning",
        )


def _specialized(recipe: Recipe) -> bool:
    """Whether the recipe says anything of how layers are made."""
    return bool(recipe.settings.specialize) or any("specialize" in entry.with_ for entry in recipe.steps.written)


def unstitched(recipe: Recipe, placed: Sequence[Placed], linked: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """Steps that work with the stitched design, and have no rtl.stitch above them. Holds for any toolchain."""
    uses = {item.id: item.uses for item in placed}
    for item in placed:
        if item.uses not in STITCHED or "rtl.stitch" in {uses.get(name) for name in _above(item.id, linked)}:
            continue
        told = item.uses if item.step is None else f"{item.uses}, which stands for {aliases.short(item.step)},"
        hint = "list rtl.stitch before it" if item.step is None else "add stitched_ip to `outputs`"
        if item.step is not None and "step_create_stitched_ip" not in uses.values():
            hint = "list create_stitched_ip or rtl.stitch before it"
        yield Problem(f"{told} needs the design that rtl.stitch makes", recipe.at(item.entry.pointer), hint)


def not_with(recipe: Recipe, placed: Sequence[Placed], catalog: Catalog) -> Iterator[Problem]:
    """Steps of the open RTL path, where FINN does not have what that path needs. Holds for any toolchain."""
    first = next((item for item in placed if item.uses in open_rtl.STEPS), None)
    if catalog.lacks and first is not None:
        told = first.uses if first.step is None else f"{first.uses} (for {aliases.short(first.step)})"
        message = (
            f"the open RTL path, and so {told}, does not run with {catalog}: it has no {listed(catalog.lacks, 'or')}"
        )
        hint = f"use {versions.OPEN_RTL}; or FINN's own steps, with Vivado (`toolchain: vivado`)"
        yield Problem(message, recipe.at(first.entry.pointer), hint)


def _above(name: str, linked: Mapping[str, Sequence[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for need in linked.get(waiting.pop(), ()):
            if need not in found:
                found.add(need)
                waiting.append(need)
    return found


def unusable_strategy(recipe: Recipe, catalog: Catalog, values: Mapping[str, Any]) -> list[Problem]:
    """With the open toolchain, FINN only inserts FIFOs: sizing them its own way needs Vivado."""
    at = ("fifo", "strategy")
    asked, known = values.get("auto_fifo_strategy", MINIMAL), catalog.fields["auto_fifo_strategy"].choices
    if asked != MINIMAL:
        hint = "leave `fifo: {strategy: ...}` out: rtl.size_fifos finds the depths; or set `toolchain: vivado`"
        return [Problem(f"the FIFO strategy {asked} needs Vivado, and the toolchain is open", recipe.at(at), hint)]
    if MINIMAL not in known:
        hint = "give the depths (`fifo: {file: ...}`), or set `toolchain: vivado`"
        return [Problem(f"{catalog} cannot insert FIFOs without sizing them by Vivado", recipe.at(at), hint)]
    return []
