"""What the lint rules say of the stages of a build. All stages go to one worker, and their findings are remembered."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from finnyaml.engine import refusals
from finnyaml.engine.pool import Pool
from finnyaml.engine.workspace import MODEL
from finnyaml.errors import Problem
from finnyaml.finn import identity
from finnyaml.kinds import KINDS
from finnyaml.lint import catalogue
from finnyaml.lint.catalogue import Finding
from finnyaml.plan.graph import Plan
from finnyaml.plan.status import Built
from finnyaml.plan.task import Task
from finnyaml.store import Entry, Store
from finnyaml.store.digests import digest_of
from finnyaml.text import counted
from finnyaml.worker.job import Failure, Job

DATA_TYPES = ("UINT8", "INT8", "UINT16", "INT16")
"""What measured data may be, in QONNX's names: those of NumPy in capitals."""

ERROR = "LintError"
"""The failure type of a task that was not started for what the rules find."""

FIELDS = ("target_fps", "synth_clk_period_ns", "board", "fpga_part", "standalone_thresholds")
"""Fields of FINN's configuration that rules look at."""

LASTING = {rule.id for rule in catalogue.RULES.values() if rule.lasting}
"""Rules whose silence about a later stage means that what they found is settled."""

ROOTS = {rule.id for rule in catalogue.RULES.values() if rule.root}
FOLLOWING = {"float-in-dataflow", "node-between-hardware-layers"}
"""What often follows from what `ROOTS` find."""

Stages = Sequence[tuple[str, Finding]]
"""Findings, each with the task whose graph it is about."""


def findings(plan: Plan, built: Mapping[str, Built], store: Store, pool: Pool, log: Path) -> Stages:
    """What the rules find in the graphs that are built, without what the recipe ignores, in the order of the plan.

    A rule that has spoken of one stage is silent about those that follow from it, and about what a later step of the
    recipe repairs. What is not to be found any more at a later stage is withdrawn.
    """
    stages, graphs = _stages(plan, built)
    if not stages:
        return ()
    rules = plan.code(*KINDS["lint"].code)
    blobs = {file: graph.blob for file, graph in graphs.items()}
    installed = identity.find(store.memo, store.put_memo)  # rules ask FINN what it converts
    finn = installed.digest if installed is not None else None
    name = f"lint-{digest_of([rules, finn, stages, blobs])[:32]}"
    told = store.memo(name)
    if told is None:
        result = pool.run(_job(plan, stages, graphs, log))
        if isinstance(result, Failure):
            return ((stages[0]["task"], Finding("lint-failed", "warning", f"no graph was checked: {result.message}")),)
        told = result.metrics["findings"]
        store.put_memo(name, told)
    found = {task: [Finding.of(item) for item in items] for task, items in told.items()}
    return tuple(_first_of_each(plan, found, plan.recipe.lint.ignore))


def stopping(plan: Plan, task: Task, built: Mapping[str, Built], store: Store, pool: Pool, log: Path) -> Failure | None:
    """Why a task that needs tools must not start: errors that the rules find in the graphs that it is made of.

    Asked for the first of such tasks on each branch; what comes behind it does not start without it.
    """
    above = plan.ancestors([task.id]) - {task.id}
    if not task.calls_tools or any(plan.tasks[name].calls_tools for name in above):
        return None
    of = {name: item for name, item in built.items() if name in above or plan.tasks[name].checks in above}
    wrong = [item for _, item in findings(plan, of, store, pool, log) if item.severity == "error"]
    if not wrong:
        return None
    rules = ", ".join(dict.fromkeys(item.rule for item in wrong))
    count = counted(len(wrong), "error")
    return Failure(
        ERROR,
        f"{task.id} was not started: it needs tools, and the graphs before it have {count} ({rules})",
        f"what to do stands with each of them; where one is not so, let the recipe say `lint: {{ignore: [{rules}]}}`",
    )


def problem(plan: Plan, task: str, finding: Finding) -> Problem:
    """A finding as people are told of it, at its place in the recipe."""
    node = f"{finding.node}: " if finding.node and finding.node not in finding.message else ""
    where = plan.recipe.at(finding.pointer or plan.tasks[task].pointer)
    message = f"after {task}: {node}{finding.message} [{finding.rule}]"
    return Problem(message, where, finding.hint, "warning" if finding.severity == "info" else finding.severity)


def _stages(plan: Plan, built: Mapping[str, Built]) -> tuple[list[dict[str, Any]], dict[str, Entry]]:
    """Every built step with a graph, as the rules see it, and the stored graphs by file name."""
    stages: list[dict[str, Any]] = []
    graphs: dict[str, Entry] = {}
    data = _data_type(built)
    after: dict[str, set[str]] = {}
    config: dict[str, dict[str, Any]] = {}
    for name, task in plan.tasks.items():  # in topological order: what leads to a task is known
        if not task.is_step:
            continue
        needs = [need for need in task.needs if need in after]
        after[name] = {task.uses}.union(*(after[need] for need in needs))
        # A setting that `with:` gave to one task holds for the graphs after it, too.
        before = {key: value for need in needs for key, value in config[need].items()}
        whole = {"prefer": plan.recipe.settings.specialize.get("prefer"), "toolchain": plan.toolchain}
        config[name] = {**whole, **before, **_config(task)}
        if name not in built or MODEL not in built[name].tree:
            continue
        file = f"{len(stages)}.onnx"
        graphs[file] = built[name].tree[MODEL]
        stages.append(
            {
                "file": file,
                "task": name,
                "uses": task.uses,
                "after": sorted(after[name]),
                "config": config[name],
                "data_dtype": data or plan.recipe.model.input.datatype,
            }
        )
    return stages, graphs


def _data_type(built: Mapping[str, Built]) -> str | None:
    """What the measured data was; None where nothing was measured, or the data says nothing (floats)."""
    measured = next(filter(None, map(refusals.measurement, built.values())), {})
    name = str(measured.get("data_type", "")).upper()
    return name if name in DATA_TYPES else None


def _config(task: Task) -> dict[str, Any]:
    """What the recipe asks of FINN for a task, as far as rules look at it, with the content of the two files."""
    config = {name: task.config[name] for name in FIELDS if name in task.config}
    for word, field in (("folding", "folding_config_file"), ("specialize", "specialize_layers_config_file")):
        staged = task.staged.get(str(task.config.get(field, "")).removeprefix("@inputs/"))
        if staged is not None:
            text = staged.data if staged.data is not None else Path(str(staged.source)).read_bytes()
            config[word] = json.loads(text)
    return config


def _job(plan: Plan, stages: list[dict[str, Any]], graphs: Mapping[str, Entry], log: Path) -> Job:
    return Job(
        task="lint",
        kind="lint",
        uses="lint",
        runner=KINDS["lint"].runner,
        params={"stages": stages},
        config={},
        inputs=graphs,
        tree={},
        seed="0" * 8,
        recipe_dir=str(plan.recipe.directory),
        log=str(log),
    )


def _first_of_each(
    plan: Plan, found: Mapping[str, Sequence[Finding]], ignore: Collection[tuple[str, str | None]]
) -> list[tuple[str, Finding]]:
    shown: list[tuple[str, Finding]] = []
    for task in plan.tasks:
        kept = catalogue.suppressed(found.get(task, ()), ignore)
        if not kept:
            continue
        above = plan.ancestors([task]) - {task}
        after = plan.descendants([task]) - {task}
        below = {plan.tasks[other].uses for other in after}
        known = {finding.rule for other, finding in shown if other in above}
        gone = {rule for other in after if other in found for rule in LASTING - {item.rule for item in found[other]}}
        shown += [
            (task, item)
            for item in kept
            if not {item.repair, *item.settled_by} & below and item.rule not in known and item.rule not in gone
        ]
    return _roots_first(shown)


def _roots_first(shown: list[tuple[str, Finding]]) -> list[tuple[str, Finding]]:
    """The findings; where there are roots, without those that often follow from them, which the first root counts."""
    at = next((index for index, (_, item) in enumerate(shown) if item.rule in ROOTS), None)
    rest = [each for each in shown if each[1].rule not in FOLLOWING]
    if at is None or len(rest) == len(shown):
        return shown
    task, root = shown[at]
    later = f"{counted(len(shown) - len(rest), 'finding')} at later stages: told once this is settled"
    counting = (task, dataclasses.replace(root, message=f"{root.message} ({later})"))
    return [counting if each == shown[at] else each for each in rest]
