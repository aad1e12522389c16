"""Faults put into builds on purpose: is each caught at its step, with its cause? And are healthy networks let be?

Recipes as users write them, built by the Python API: each fault is a branch of its own behind a step of FINN (or stands
in the place of one), on networks of several kinds. A fault after which no output changes cannot be seen by anybody; it
is shown, and not counted. `python -m benchmarks seeded` takes half an hour; `SEEDED=name,name` takes these only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.bench import ROOT, table
from benchmarks.seeded_cases import FAULTS, NETWORKS, Fault, Network

PARTS = ("step", "transformation", "node", "cause")


@dataclass(frozen=True)
class Outcome:
    """What became of a fault: "failed" its gate, "said" (a note only), "same" (no output changed), ...

    Where it failed: whether the step, transformation, node and cause that were found are those of the fault.
    """

    fault: Fault
    state: str
    right: Mapping[str, bool] = field(default_factory=dict)
    told: str = ""


def run(folder: Path) -> None:
    """Print what became of every fault, network by network, then the counts and what healthy steps were accused of."""
    warnings.filterwarnings("ignore")
    names = [name for name in os.environ.get("SEEDED", "").split(",") if name] or [*NETWORKS]
    outcomes, accused = [], []
    for name in names:
        faults = [fault for fault in FAULTS if fault.network == name]
        result = _built(NETWORKS[name], faults, folder / name)
        found = [_outcome(fault, result) for fault in faults]
        outcomes += found
        accused += [f"{name}: {what}" for what in _accused(result, {fault.name for fault in faults})]
        print(f"\n{name}: {len(NETWORKS[name].steps)} steps as they are, {len(faults)} faults\n", flush=True)
        if found:
            table(("fault", "gate", *PARTS), [_row(item) for item in found])
        for item in found:
            if item.state not in ("same", "failed") or not all(item.right.values()):
                print(f"\n{item.fault.name}: {item.state}, {dict(item.right)}\n{item.told}", flush=True)
    counted = [item for item in outcomes if item.state != "same"]
    caught = [item for item in counted if item.state == "failed"]
    named = [item for item in caught if all(item.right.values())]
    print(f"\n{len(outcomes)} faults; {len(outcomes) - len(counted)} of them change no output and are not counted.")
    print(f"{len(caught)} of {len(counted)} are caught at their step.")
    print(f"Step, transformation, node and cause are right for {len(named)} of {len(counted)}.")
    print(f"{len(names)} healthy networks: {'; '.join(accused) or 'none is accused'}.", flush=True)


def _accused(result: Any, faults: Collection[str]) -> list[str]:
    """What is said against the steps that no fault was put in."""
    tasks = result.report.record["tasks"]
    healthy = {name: task for name, task in tasks.items() if task.get("checks", name) not in faults}
    failed = [f"{name} {task['state']}" for name, task in healthy.items() if task["state"] in ("failed", "blocked")]
    verdicts = {name: task["verdict"] for name, task in healthy.items() if "verdict" in task}
    return failed + [
        f"{name} {verdict['state']}: {'; '.join(verdict['reasons'])}"
        for name, verdict in verdicts.items()
        if verdict["state"] not in ("passed", "measured")
    ]


def _built(network: Network, faults: Sequence[Fault], folder: Path) -> Any:
    import finnyaml

    folder.mkdir(parents=True, exist_ok=True)
    for name in ("seeded_faults.py", "seeded_networks.py"):
        shutil.copy(ROOT / "benchmarks" / name, folder)
    steps = [{"uses": step} if isinstance(step, str) else dict(step) for step in network.steps]
    for fault in faults:
        options = {**fault.options, "fault": fault.fault, "node": fault.node}
        if fault.step:
            options |= {"step": fault.step, "inside": fault.inside}
        uses = f"seeded_faults.py:{'wrapped' if fault.step else 'seeded'}"
        steps.append({"uses": uses, "id": fault.name, "needs": [fault.after], "expect": "exact", "with": options})
    recipe = {**network.recipe, "name": "seeded", "steps": steps, "output": "build"}
    recipe["verify"] = {**network.verify, "on_fail": "defer"}
    path = folder / "recipe.yaml"
    path.write_text(json.dumps(recipe, indent=1))  # JSON is YAML
    try:
        return finnyaml.load(path, store=folder.parent / "store").build(jobs=1, keep_going=True)
    except finnyaml.BuildFailed as failed:
        return failed.result


def _outcome(fault: Fault, result: Any) -> Outcome:
    tasks = result.report.record["tasks"]
    task = tasks.get(f"verify.{fault.name}", {})
    if "verdict" not in task:
        return Outcome(fault, "broken", told="\n".join(text for text in result.failures if fault.name in text))
    loss = next((loss for loss in result.losses if loss.point == f"verify.{fault.name}"), None)
    log = result.report.session.store.read(tasks[fault.name]["log"]).decode()
    put = json.loads(re.findall(r"FAULT (.*)", log)[-1])
    verdict = task["verdict"]
    told = "\n".join((*verdict["reasons"], *verdict["notes"]))
    if verdict["state"] == "not verified":
        return Outcome(fault, "not verified", told=told)
    if verdict["state"] != "failed":
        changed = (task["measurement"].get("before") or {}).get("changed")
        return Outcome(fault, "said" if verdict["notes"] and changed else "unseen" if changed else "same", told=told)
    if loss is None or not loss.found:  # the gate itself names the node of an overflow
        right = {"node": put["node"] in told, "cause": bool(re.search(fault.says, told))}
        return Outcome(fault, "failed", right, told)
    found = loss.found
    transformation, tensor, cause = (found[name] or {} for name in ("transformation", "tensor", "cause"))
    node, kind = tensor.get("node", ""), tensor.get("op_type", "")
    named = put["node"] and put["node"] in (node, *re.findall(r"\w+", cause.get("text", "")))
    right = {
        "step": loss.step == fault.name,
        "transformation": transformation.get("name") == (fault.inside or "the step's own code"),
        # Nodes have no names at first, and windows are shown by the product that takes them.
        "node": bool(named) or (not put["node"] and kind in (put["kind"], "MatMul" if put["kind"] == "Im2Col" else "")),
        "cause": bool(re.search(fault.says, cause.get("text", ""))),
    }
    return Outcome(fault, "failed", right, f"{told}\n{loss.text}")


def _row(item: Outcome) -> tuple[str, ...]:
    what = f"{item.fault.name} ({item.fault.what})"
    return (
        what,
        item.state,
        *("" if (found := item.right.get(name)) is None else "yes" if found else "NO" for name in PARTS),
    )
