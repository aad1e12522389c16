"""Whole networks with the real FINN: at every stage every tensor equals what qonnx executes sample by sample."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qonnx.core.onnx_exec import execute_onnx

from benchmarks.networks import NETWORKS, images, signature, stages
from finnyaml.verify.executor import BatchedModel, checked
from finnyaml.verify.executor.check import same

pytestmark = pytest.mark.filterwarnings("ignore:The values of tensor")

LAST = "step_minimize_bit_width"
Built = Callable[[str], dict[str, Any]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The stages of a network, made once."""
    known: dict[str, dict[str, Any]] = {}

    def build(name: str) -> dict[str, Any]:
        if name not in known:
            folder: Path = tmp_path_factory.mktemp("network") / "output"
            before = os.environ.get("FINN_BUILD_DIR")
            known[name] = stages(NETWORKS[name], folder, LAST)
            os.environ.pop("FINN_BUILD_DIR")
            if before is not None:
                os.environ["FINN_BUILD_DIR"] = before
        return known[name]

    return build


def samples_of(batched: BatchedModel, name: str, count: int) -> np.ndarray:
    """Images in the layout of the input; NHWC after the streamlined input transposition."""
    drawn = images(NETWORKS[name], count)
    return drawn if drawn.shape[1:] == batched.input_shape[1:] else drawn.reshape(count, *batched.input_shape[1:])


@pytest.mark.parametrize(
    "name",
    ["digits-cnv", "TFC_1W1A", *(pytest.param(name, marks=pytest.mark.long) for name in ("CNV_1W1A", "CNV_2W2A"))],
)
def test_every_tensor_at_every_stage(name: str, built: Built) -> None:
    """Integer tensors to the bit; the graph is compared with and without optimisation."""
    count = 2
    seen = {}
    for stage, model in built(name).items():
        plain = BatchedModel(model, taps="all", optimise=False)
        assert plain.fallbacks == (), stage
        if seen.setdefault(signature(plain), stage) != stage:  # the same graph was compared at another stage
            continue
        samples = samples_of(plain, name, count)
        found = plain.run(samples)
        expected = [execute_onnx(plain.model, {plain.input: s[None]}, True) for s in samples]
        fast = BatchedModel(model).run(samples)
        assert set(fast) == set(plain.outputs)
        for results in (found, fast):
            for tensor, result in results.items():
                exact = plain.model.get_tensor_datatype(tensor).is_integer()
                right = np.concatenate([e[tensor] for e in expected])
                assert same(result, right, exact=exact), (stage, tensor)
    assert "step_streamline" in seen.values()


def test_healthy_stages_need_no_fallback(built: Built) -> None:
    for model in built("digits-cnv").values():
        batched = BatchedModel(model)
        compared = checked(model, samples_of(batched, "digits-cnv", 1))
        assert (compared.fallbacks, compared.notices) == ((), [])


def test_the_steps_that_change_no_computation_have_one_signature(built: Built) -> None:
    steps = ["step_create_dataflow_partition", "step_specialize_layers", "step_apply_folding_config"]
    assert len({signature(BatchedModel(built("digits-cnv")[step])) for step in steps}) == 1


@pytest.mark.parametrize("stage", ["step_qonnx_to_finn", "step_streamline", LAST])
def test_each_kind_of_node_may_run_per_sample(stage: str, built: Built) -> None:
    """The fallback forced for each op in turn gives equal results."""
    model = built("TFC_1W1A")[stage]
    batched = BatchedModel(model)
    samples = samples_of(batched, "TFC_1W1A", 3)
    expected = batched.run(samples)[batched.outputs[0]]
    for kind in sorted({n.op_type for n in batched.lowered}):
        forced = BatchedModel(model, without=[kind])
        assert {f.op_type for f in forced.fallbacks} == {kind}
        np.testing.assert_array_equal(forced.run(samples)[batched.outputs[0]], expected, err_msg=kind)


@pytest.mark.long
def test_wrong_annotations_of_finn_are_reported(built: Built) -> None:
    """qonnx_to_finn annotates the activations 0..2 of CNV_2W2A as INT2."""
    model = built("CNV_2W2A")["step_qonnx_to_finn"]
    batched = BatchedModel(model)
    batched.run(samples_of(batched, "CNV_2W2A", 2))
    assert {("MultiThreshold", "INT2", 2.0)} <= {(v.op_type, v.datatype, v.high) for v in batched.violations}
