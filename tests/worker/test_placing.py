"""What FINN and qonnx raise is told with its place, what is known of it, and what to do; the log has the traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from qonnx.core.modelwrapper import ModelWrapper

from finnyaml.finn.known import known
from finnyaml.text import visible
from finnyaml.worker.attempt import failure
from finnyaml.worker.job import Failure
from tests.lint.graphs import run
from tests.networks.graphs import Network
from tests.networks.table import line
from tests.project import Project


def failed(model: ModelWrapper, steps: str, folder: Path) -> Failure:
    with pytest.raises(Exception) as caught:
        run(model, steps, folder)
    return failure(caught.value)


def test_a_bare_exception_has_its_transformation_and_node(tmp_path: Path) -> None:
    """FINN 908: `list index out of range` at every Conv1d."""
    model = line().conv(2, 4, 3).relu().conv(4, 3, 3).relu().done()
    for node in model.graph.node:
        entry = node.metadata_props.add()
        entry.key, entry.value = "pkg.torch.onnx.name_scopes", "['', 'features', 'features.3', 'conv']"
    told = failed(model, "qonnx_to_finn tidy_up streamline", tmp_path)
    assert (told.type, told.message) == ("IndexError", "list index out of range")
    assert told.place == "in LowerConvsToMatMul, at Conv_0 (Conv), made of the module features.3"
    assert told.known is not None and "over two dimensions" in told.known
    assert told.hint is not None and "lift_to_4d" in told.hint
    assert "LowerConvsToMatMul" in told.traceback or "lower_convs" in told.traceback


def test_a_node_that_only_the_sentence_names(tmp_path: Path) -> None:
    net = Network(1, 8).dense(8, 8).then("LeakyRelu", alpha=0.5).quant().dense(8, 3)
    steps = "qonnx_to_finn tidy_up streamline convert_to_hw create_dataflow_partition"
    told = failed(net.done(), steps, tmp_path)
    assert told.place is not None and "at LeakyRelu_0 (LeakyRelu)" in told.place
    assert told.known is not None and "between them" in told.known


def test_a_sentence_belongs_to_its_transformation() -> None:
    assert known("list index out of range", "LowerConvsToMatMul", "Conv") is not None
    assert known("list index out of range", "LowerConvsToMatMul", "Pad") is None
    assert known("list index out of range") is None
    assert known("Only Quant nodes with zero-point == 0 are currently supported.") is not None


def test_colours_of_others_are_left_out() -> None:
    try:
        raise RuntimeError("\x1b[31mFailed\x1b[0m to export")
    except RuntimeError as error:
        told = failure(error)
    assert visible(told.message) == "Failed to export"  # records keep the bytes; what is shown has no colours


def test_the_log_that_is_named_has_the_traceback(project: Project) -> None:
    project.step("from qonnx.transformation.general import SortGraph; model.transform(SortGraph(), nonsense=1)")
    done = project.run("build", "recipe.yaml")
    log = next(line.split()[-1] for line in done.stderr.splitlines() if "  log:" in line)
    text = (project.folder / log).read_text()
    assert "Traceback (most recent call last)" in text and "TypeError" in text


def test_a_custom_step_may_import_the_steps_of_finn(project: Project) -> None:
    """In a worker that has run none, and without Vivado."""
    project.step("from finn.builder.build_dataflow_steps import step_tidy_up; return step_tidy_up(model, cfg)")
    assert "same" in project.ran("--jobs", "1", XILINX_VIVADO="", FINN_XSI="")
