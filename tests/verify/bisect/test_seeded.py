"""A few of the faults of `python -m benchmarks seeded`: the gate fails, and the node and what is wrong are named.

All of them there are put into builds by the real command; here it is the graphs of digits-cnv in this process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qonnx.core.modelwrapper import ModelWrapper

from benchmarks.seeded_faults import seeded
from finnyaml.recipe.model import DataSpec
from finnyaml.verify.bisect.result import Samples
from finnyaml.verify.bisect.within import OWN_CODE, find_loss
from finnyaml.verify.data.dataset import DataSet, open_data
from finnyaml.verify.gates import Gate, Verdict, verdict
from finnyaml.verify.measure import measure
from finnyaml.verify.metrics import TopK
from finnyaml.verify.outputs import Stored


@pytest.fixture(scope="module")
def data(digits: Samples, tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    folder = tmp_path_factory.mktemp("data")
    np.savez(folder / "data.npz", x=digits.inputs.astype(np.uint8), y=digits.labels)
    spec = {**vars(DataSpec("npz")), "file": "data.npz", "inputs_key": "x", "labels_key": "y"}
    return open_data(spec, lambda name: folder / name, folder)


@pytest.fixture(scope="module")
def judged(data: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the usual gate says of a model, behind another one that it must not differ from."""
    folder = tmp_path_factory.mktemp("points")
    known: dict[int, dict[str, Any]] = {}

    def point(model: Any, name: str, **more: Any) -> dict[str, Any]:
        options = {"indices": True, "layout": None, "tolerance": None, **more}
        return measure(model, data, lambda: TopK(1), None, folder / f"{name}.npz", **options)

    def judge(before: Any, after: Any) -> Verdict:
        first = str(id(before))
        if id(before) not in known:
            known[id(before)] = point(before, first)
        earlier = {"before": Stored(first, folder / f"{first}.npz", "outputs")}
        return verdict(Gate(), point(after, "after", whole_before=known[id(before)]["integers"], **earlier))

    return judge


FAULTS = [
    ("tidy", "exchange", "Conv:1", {"a": 0, "b": 9}, "Conv_1: weight input channels 0 and 9 exchanged"),
    ("tidy", "multiply", "BatchNormalization:1", {"by": 4.0, "place": 4}, "BatchNormalization_1: variance all values"),
    ("lowered", "sign", "MatMul:1", {"count": 900}, "MatMul_1: weight 900 of 9216 values changed sign"),
    ("lowered", "setting", "TopK:0", {"name": "largest", "value": 0}, "TopK_0: largest 1 -> 0"),
    ("hardware", "exchange", "MVAU:-1", {"a": 2, "b": 7}, "weight columns 2 and 7 exchanged"),
    ("hardware", "move", "Thresholding:-1", {"by": 2, "index": 7}, "threshold [7, 0] moved by +2"),
]


@pytest.mark.parametrize(("stage", "fault", "node", "options", "words"), FAULTS)
def test_a_fault_fails_its_gate_and_is_named(request, judged, digits, stage, fault, node, options, words):
    before = request.getfixturevalue(stage)

    def step(model: Any) -> Any:
        return seeded(model, None, fault, node, **options)

    found = judged(before, step(ModelWrapper(before.model, make_deepcopy=True)))
    assert (found.state, found.lost) == ("failed", True)
    data = Samples(digits.inputs, indices=True)
    loss = find_loss(before, step, data, tolerance=0.0, step="made_up", changed=0.0)
    assert loss.transformation.name == OWN_CODE
    assert words in loss.cause.text
    assert loss.tensor.node in loss.cause.text


def test_what_is_exact_is_let_be(judged, steps, tidy, hardware):
    """From floats to integers, and among integers."""
    streamlined = steps("streamline")(steps("streamline")(tidy))
    assert judged(streamlined, hardware) == Verdict("passed")
    assert judged(hardware, steps("minimize_bit_width")(hardware)) == Verdict("passed")
