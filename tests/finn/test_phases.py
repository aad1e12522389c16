"""What is asked from FINN: the catalog agrees with the FINN that is imported here, and phases come apart rightly.

The FINN of these tests has no phases yet (`Xilinx/finn` has); so a module made up here stands in for FINN's, with
statements as FINN writes them and some that it might. Everything else is the real FINN.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import importlib
import os
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from finnyaml.errors import StepFailed, ToolMissing
from finnyaml.finn import config, introspect
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.door import Finn, open_door
from finnyaml.finn.introspect import segment
from finnyaml.worker.runners import segment as runner

PHASES = '''
"""Stands in for finn.builder.build_dataflow_phases."""

HELPER = "of the module"


def step_one(model, cfg):
    return [*model, "one"]


def step_two(model, cfg):
    return [*model, "two"]


def _execute(step, model, cfg):
    assert step.__name__
    return step(model, cfg)


def _on_bodies(model, cfg, step):
    return [*model, f"bodies {step.__name__}"]


def phase_plain(model, cfg):
    """Phase: two steps.

    One after the other.
    """
    model = step_one(model, cfg)
    model = _execute(step_two, model, cfg)
    return model


def phase_mixed(model, cfg):
    # Statements that are not a call of a step are segments.
    model = _on_bodies(model, cfg, step_one)
    model = _execute(step_one, model, cfg)
    if cfg.wide:
        only = all(item != "two" for item in model)
        if only:
            model = _execute(step_two, model, cfg)
    else:
        model = [*model, HELPER]
    for name in ("a", "b"):
        model = [*model, name]
    return model


def phase_with_a_local(model, cfg):
    extra = ["local"]
    model = step_one(model, cfg)
    model = model + extra
    return model


def phase_that_may_end_early(model, cfg):
    if "stop" in model:
        return model
    model = step_one(model, cfg)
    return model


def phase_with_an_import(model, cfg):
    import os.path
    model = step_one(model, cfg)
    model = [*model, os.path.basename("a/b")]
    return model


def phase_with_a_condition(model, cfg):
    model = step_one(model, cfg)
    sized = [item for item in model if item == "two"]
    if not sized and cfg.wide:
        model = _execute(step_two, model, cfg)
    elif sized:
        print("skipped")
    model = _execute(step_one, model, cfg)
    return model


def phase_with_statements_that_reach_over_each_other(model, cfg):
    model = step_one(model, cfg)
    first = "first"
    second = "second"
    model = step_one([*model, first], cfg)
    model = step_one([*model, second], cfg)
    model = step_two(model, cfg)
    return model


def phase_of_other_names(graph, config):
    graph = step_one(graph, config)
    if config.wide:
        graph = step_two(graph, config)
    return graph


def phase_of_other_names_and_one_step(graph, config):
    graph = step_one(graph, config)
    return graph


def phase_that_calls_for_another_result(model, cfg):
    checked = step_one(model, cfg)
    if checked:
        model = [*checked, "checked"]
    return model


def phase_that_drops_a_result(model, cfg):
    _ = step_one(model, cfg)
    model = step_two(model, cfg)
    return model


build_dataflow_phase_lookup = {name: value for name, value in list(globals().items()) if name.startswith("phase_")}
'''

MODULE = "made_up_finn_phases"


@dataclasses.dataclass
class Config:
    wide: bool = False


@pytest.fixture
def finn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Finn:
    """A door behind which the made-up phases are, also for `segment`."""
    (tmp_path / f"{MODULE}.py").write_text(PHASES)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    module = importlib.import_module(MODULE)
    made = Finn()
    made.steps = {"step_one": module.step_one, "step_two": module.step_two}
    made.phases = dict(module.build_dataflow_phase_lookup)
    monkeypatch.setattr("finnyaml.finn.introspect.open_door", lambda: made)
    return made


def parts(finn: Finn, name: str) -> tuple[tuple[str, str], ...]:
    return introspect._phase(name, finn.phases[name], finn).parts


def test_calls_of_steps_are_steps(finn: Finn) -> None:
    assert parts(finn, "phase_plain") == (("step", "step_one"), ("step", "step_two"))
    phase = introspect._phase("phase_plain", finn.phases["phase_plain"], finn)
    assert (phase.doc, phase.module) == ("Phase: two steps. One after the other.", MODULE)


def test_everything_else_is_a_segment(finn: Finn) -> None:
    assert parts(finn, "phase_mixed") == (("segment", "0"), ("step", "step_one"), ("segment", "2"), ("segment", "3"))


def test_a_condition_goes_with_the_variables_it_uses_and_takes_no_other_step_along(finn: Finn) -> None:
    made = parts(finn, "phase_with_a_condition")
    assert made == (("step", "step_one"), ("segment", "1-2"), ("step", "step_one"))
    made = parts(finn, "phase_with_statements_that_reach_over_each_other")
    assert made == (("step", "step_one"), ("segment", "1-4"), ("step", "step_two"))


def test_what_a_segment_calls_is_asked_for_by_name(finn: Finn) -> None:
    called = []

    def noted(name: str, step: Any) -> Any:
        @functools.wraps(step)
        def call(model: Any, cfg: Any) -> Any:
            called.append(name)
            return step(model, cfg)

        return call

    assert segment("phase_with_a_condition", "1-2", noted)(["one"], Config()) == ["one"]
    assert not called
    assert segment("phase_with_a_condition", "1-2", noted)(["one"], Config(wide=True)) == ["one", "two"]
    assert segment("phase_with_an_import", "all", noted)([], Config()) == ["one", "b"]
    assert called == ["step_two", "step_one"]


def test_a_step_under_a_condition_looks_for_its_tools_when_it_is_called(
    finn: Finn, monkeypatch: pytest.MonkeyPatch
) -> None:
    def needs(step: str, fields: Any, *, distribution: str) -> tuple[str, ...]:
        return ("vivado", "make") if step == "step_two" and fields.get("wide") and not fields.get("absent") else ()

    def run(*, wide: bool) -> Any:
        params = {"phase": "phase_with_a_condition", "index": "1-2"}
        return runner.run(SimpleNamespace(params=params, model=["one"], config=lambda: Config(wide)))  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "needs", needs)
    monkeypatch.setattr(runner, "made_model", lambda result, context: result)
    monkeypatch.setenv("PATH", "/nowhere")
    assert run(wide=False) == ["one"]
    with pytest.raises(ToolMissing, match="phase_with_a_condition calls two here, which needs vivado, make") as found:
        run(wide=True)
    assert found.value.hint and "Vivado" in found.value.hint
    monkeypatch.setattr(runner, "needs", lambda *_, **__: ())
    assert run(wide=True) == ["one", "two"]


@pytest.mark.parametrize(
    "name",
    [
        "phase_with_a_local",
        "phase_that_may_end_early",
        "phase_with_an_import",
        "phase_that_calls_for_another_result",
    ],
)
def test_a_phase_whose_statements_hang_together_is_one_segment(finn: Finn, name: str) -> None:
    assert parts(finn, name) == (("segment", "all"),)


def test_a_step_whose_result_is_not_the_model_is_no_step(finn: Finn) -> None:
    assert parts(finn, "phase_that_drops_a_result") == (("segment", "0"), ("step", "step_two"))


@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("start", [[], ["stop"], ["two"]])
def test_the_parts_of_a_phase_do_what_the_phase_does(finn: Finn, start: list[str], wide: bool) -> None:
    cfg = Config(wide)
    for name, phase in finn.phases.items():
        model = list(start)
        for kind, value in parts(finn, name):
            run = finn.steps[value] if kind == "step" else segment(name, value)
            model = run(model, cfg)
        assert model == phase(list(start), cfg), name


def test_a_finn_without_phases() -> None:
    assert Finn().phases == {} or importlib.util.find_spec("finn.builder.build_dataflow_phases")


# The catalog and the real FINN.


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finn]:
    """FINN's steps, imported in this process (that takes some 10 s once)."""
    before = os.environ.get("FINN_BUILD_DIR")
    os.environ["FINN_BUILD_DIR"] = str(tmp_path_factory.mktemp("finn"))
    made = open_door()
    _ = made.steps
    yield made
    if before is not None:
        os.environ["FINN_BUILD_DIR"] = before


@pytest.fixture(scope="module")
def catalog(door: Finn) -> Catalog:
    return introspect.catalog(door, "identity", "finn-plus", "1.6.1")


def test_the_catalog_survives_the_store(catalog: Catalog) -> None:
    import json

    assert Catalog.from_json(json.loads(json.dumps(catalog.to_json()))) == catalog


def test_steps_are_those_that_finn_registers(catalog: Catalog, door: Finn) -> None:
    from finn.builder.build_dataflow_steps import build_dataflow_step_lookup

    assert catalog.steps.keys() == build_dataflow_step_lookup.keys()
    for name, step in catalog.steps.items():
        assert step.module == build_dataflow_step_lookup[name].__module__
    assert "streamlining" in catalog.steps["step_streamline"].doc


def test_flows_are_finns_lists(catalog: Catalog) -> None:
    from finn.builder import build_dataflow_config as finn

    assert catalog.flows["default"] == tuple(finn.default_build_dataflow_steps)
    assert catalog.flows["estimate_only"] == tuple(finn.estimate_only_dataflow_steps)
    assert all(step in catalog.steps for flow in catalog.flows.values() for step in flow)
    assert all(len(set(flow)) == len(flow) for flow in catalog.flows.values())


def test_boards_are_finns(catalog: Catalog) -> None:
    from finn.util import basic

    expected = {**basic.pynq_part_map, **basic.alveo_part_map}
    assert expected and {board: catalog.boards[board] for board in expected} == expected


def test_datatypes_are_qonnxs(catalog: Catalog) -> None:
    from qonnx.core.datatype import DataType

    assert all(DataType[name].name == name for name in catalog.datatypes)


def test_fields_and_defaults_are_finns(catalog: Catalog, door: Finn) -> None:
    fields = {field.name: field for field in dataclasses.fields(door.config_class)}
    assert catalog.fields.keys() == fields.keys()
    needed = {
        name: "given"
        for name, field in fields.items()
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    }
    made = door.config_class(**needed)
    for name, field in catalog.fields.items():
        if name not in needed:
            assert field.default == introspect.plain(getattr(made, name)), name
    assert all(field.doc for field in catalog.fields.values() if field.name in ("target_fps", "synth_clk_period_ns"))


def _members(hint: Any) -> Iterator[Any]:
    yield hint
    for inner in typing.get_args(hint):
        yield from _members(inner)


def test_choices_are_the_values_of_finns_enums(catalog: Catalog, door: Finn) -> None:
    hints = typing.get_type_hints(door.config_class)
    with_choices = 0
    for name, field in catalog.fields.items():
        enums = [hint for hint in _members(hints[name]) if isinstance(hint, enum.EnumMeta)]
        if enums:
            assert set(field.choices) == {str(member.value) for member in enums[0]}, name
            with_choices += 1
    assert with_choices >= 5


def test_finn_takes_every_choice_and_every_default(catalog: Catalog, door: Finn) -> None:
    """What `check` lets through must not fail in FINN's configuration."""
    from finnyaml.finn.settings import check

    base = {"output_dir": "o", "synth_clk_period_ns": 5.0}
    for name, field in catalog.fields.items():
        values = [[choice] if field.kind == "list" else choice for choice in field.choices]
        for value in [*values, field.default]:
            if value is None and not field.optional:
                continue
            assert check(field, value, catalog) is None or name == "board", (name, value)
            made = config.make(door.config_class, {**base, name: value})
            assert introspect.plain(getattr(made, name)) == value, name


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("target_fps", "many", "takes an int"),
        ("target_fps", True, "takes an int"),
        ("synth_clk_period_ns", None, "cannot be null"),
        ("shell_flow_type", "vivado", "is not a value of shell_flow_type"),
        ("generate_outputs", ["estimate_reports", "bit"], "'bit' is not a value of generate_outputs"),
        ("board", "ZCU-102", "knows no board"),
    ],
)
def test_what_finn_cannot_take_is_told_before(catalog: Catalog, name: str, value: Any, message: str) -> None:
    from finnyaml.finn.settings import check

    problem = check(catalog.fields[name], value, catalog)
    assert problem is not None and message in problem.message


def test_every_structured_word_is_a_field_here(catalog: Catalog) -> None:
    from finnyaml.finn.settings import CONFIG_FILES, STRUCTURED

    assert {*STRUCTURED.values(), *CONFIG_FILES.values(), "generate_outputs"} <= catalog.fields.keys()


def test_old_names_lead_to_real_steps(catalog: Catalog) -> None:
    from finnyaml.finn.aliases import SYNONYMS, resolve

    for row in SYNONYMS:
        assert all(resolve(name, catalog.steps) in catalog.steps for name in row)
    assert resolve("streamline", catalog.steps) == "step_streamline"
    assert resolve("step_no_such", catalog.steps) is None


def test_a_configuration_that_finn_refuses_names_the_field(door: Finn) -> None:
    with pytest.raises(StepFailed, match="shell_flow_type"):
        config.make(door.config_class, {"output_dir": "o", "synth_clk_period_ns": 5.0, "shell_flow_type": "x"})


def test_shells_and_outputs_are_finns(catalog: Catalog) -> None:
    from finn.builder.build_dataflow_config import DataflowOutputType, ShellFlowType
    from finn.util import basic

    assert {catalog.shells[board] for board in basic.pynq_part_map} == {ShellFlowType.VIVADO_ZYNQ.value}
    assert {catalog.shells[board] for board in basic.alveo_part_map} == {ShellFlowType.VITIS_ALVEO.value}
    assert catalog.outputs.keys() <= {kind.value for kind in DataflowOutputType}
    assert catalog.outputs["estimate_reports"] == ("step_generate_estimate_reports",)
    assert "step_synthesize_bitfile" in catalog.outputs["bitfile"]
    assert "step_out_of_context_synthesis" not in catalog.outputs["stitched_ip"]  # it only insists on it


def test_this_finn_has_what_the_open_rtl_path_needs(catalog: Catalog) -> None:
    assert catalog.lacks == ()


def test_what_a_finn_lacks_for_the_open_rtl_path_is_named(door: Finn, monkeypatch: pytest.MonkeyPatch) -> None:
    from finn.transformation.fpgadataflow import create_stitched_ip

    monkeypatch.setattr(introspect, "rtl_source", lambda name: None)
    monkeypatch.delattr(create_stitched_ip, introspect.LAUNCH)
    monkeypatch.setattr(introspect, "MINIMAL_FIFOS", "none_at_all")
    names = ("fifo.sv", "launch_process_helper in create_stitched_ip", "the FIFO strategy none_at_all")
    assert introspect._lacks(door) == names
