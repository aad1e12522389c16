"""One measurement of the graph that a step made; the graph stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from finnyaml.verify import measure as measuring
from finnyaml.verify.metrics import make_metric
from finnyaml.verify.outputs import Recorded
from finnyaml.worker.context import Context, needed_model
from finnyaml.worker.inputs import before, data_set, reference_of, whole_graph


def run(context: Context) -> None:
    """Measure the model on the data set; the metrics hold the measurement."""
    params = context.params
    metric = params["metric"]
    simulated = params.get("simulated")
    earlier = before(context)
    measured = measuring.measure(
        whole_graph(context, needed_model(context)),
        data_set(context, params["data"]),
        lambda: make_metric(metric, context.file, context.recipe_dir, metric["indices"]),
        reference_of(context),
        context.root / params["file"],
        indices=metric["indices"],
        layout=params["layout"],
        tolerance=params.get("tolerance"),
        recorded=Recorded.read(context.root / simulated) if simulated else None,
        before=earlier,
        whole_before=earlier is not None and _of_integers(context, earlier.name),
    )
    context.metrics["measurement"] = measured
    kept = {name: value for name, value in measured.items() if name != "cpu_seconds"}  # equal measurements, equal files
    path = (context.root / params["file"]).with_suffix(".json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")
    print(_told(measured))


def _of_integers(context: Context, step: str) -> bool:
    """Whether the graph of an earlier point computed with integers alone."""
    kept = (context.root / context.params["file"]).with_name(f"{step}.json")
    return bool(json.loads(kept.read_text()).get("integers"))


def _told(measured: Mapping[str, Any]) -> str:
    """A measurement for the log of its task."""
    lines = [f"{name}: {value}" for name, value in measured.items() if not isinstance(value, list)]
    return "\n".join([*lines, *measured.get("notices", ()), *map(str, measured.get("violations", ()))])
