"""From a verification point to a loss: the samples, the report as data and the picture. Runs in workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from finnyaml.verify.bisect.report import sentences, to_json
from finnyaml.verify.bisect.result import Samples
from finnyaml.verify.bisect.within import find_loss
from finnyaml.verify.classes import class_labels, predictions
from finnyaml.verify.data.dataset import DataSet
from finnyaml.verify.data.layout import delivered
from finnyaml.verify.gates import USUAL_DROP
from finnyaml.verify.outputs import BATCH, Stored

if TYPE_CHECKING:
    from qonnx.core.modelwrapper import ModelWrapper


def find(
    before: ModelWrapper,
    run_step: Callable[[ModelWrapper], ModelWrapper],
    whole: Callable[[ModelWrapper], ModelWrapper],
    data: DataSet,
    reference: Stored | None,
    step: str,
    folder: Path,
    *,
    classifies: bool,
    indices: bool,
    layout: str | None,
    max_drop: float | None,
) -> dict[str, Any]:
    """Find where a step loses accuracy (without labels: agreement with the reference).

    Args:
        before: the graph that the step is given.
        run_step: runs the step.
        whole: puts a graph from inside the step where it can be executed.
        step: the step's name, for the report.
        folder: where the picture goes (`difference.png`).
        classifies: the metric is one of classes, and not of outputs as numbers.
        indices: the graph answers class indices, best first, and not scores.
        layout: the layout in which the recipe says that the accelerator gets its data.
        max_drop: how much may be lost, as a fraction of the samples.

    Returns:
        the loss as plain data; `told` is the same in sentences.
    """
    found = find_loss(
        before,
        run_step,
        _samples(data, reference, classifies, indices, layout),
        # Half, since what was lost before this step counts towards the limit, too.
        tolerance=(USUAL_DROP if max_drop is None else max_drop) / 2,
        step=step,
        complete=whole,
    )
    if found.picture is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "difference.png").write_bytes(found.picture)
    return {**to_json(found), "told": sentences(found)}


def _samples(data: DataSet, reference: Stored | None, classifies: bool, indices: bool, layout: str | None) -> Samples:
    """All samples in memory: there are few, and every state is run on them."""
    batches = list(data.batches(BATCH))
    inputs = np.concatenate([delivered(batch.inputs, data.layout, layout) for batch in batches])
    outputs = np.concatenate(list(reference.pieces(data.chunks(BATCH)))) if reference is not None else None
    if not classifies:
        return Samples(inputs, outputs=outputs)
    labels = class_labels(np.concatenate([batch.labels for batch in batches])) if data.labelled else None
    return Samples(inputs, labels, None if outputs is None else predictions(outputs, indices), indices=indices)
