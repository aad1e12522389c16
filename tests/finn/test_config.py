"""FINN's real `DataflowBuildConfig` behind the recorder: what a step reads of it is known, however it reads."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import StepFailed
from finnyaml.finn import config
from finnyaml.finn.door import open_door
from finnyaml.finn.introspect import plain

VALUES = {
    "output_dir": "/sandbox/out",
    "synth_clk_period_ns": 20,
    "board": "Pynq-Z2",
    "target_fps": 100,
    "generate_outputs": ["estimate_reports", "bitfile"],
    "shell_flow_type": "vivado_zynq",
    "verify_steps": ["initial_python"],
    "folding_config_file": "/sandbox/inputs/folding_config_file.json",
    "fpga_part": None,
}


@pytest.fixture(scope="module")
def config_class() -> Any:
    return open_door().config_class


@pytest.fixture
def made(config_class: Any) -> Any:
    return config.make(config_class, VALUES)


@pytest.fixture
def reads() -> set[str]:
    return set()


@pytest.fixture
def view(made: Any, reads: set[str]) -> Any:
    return config.recording(made, reads)


def names(config_class: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(config_class)}


def test_values_in_the_words_of_a_recipe(made: Any) -> None:
    from finn.builder import build_dataflow_config as finn

    assert made.generate_outputs == [finn.DataflowOutputType.ESTIMATE_REPORTS, finn.DataflowOutputType.BITFILE]
    assert made.shell_flow_type is finn.ShellFlowType.VIVADO_ZYNQ
    assert made.verify_steps == [finn.VerificationStepType.TIDY_UP_PYTHON]
    assert made.folding_config_file == Path("/sandbox/inputs/folding_config_file.json")
    assert (made.synth_clk_period_ns, type(made.synth_clk_period_ns)) == (20.0, float)
    assert {name: plain(getattr(made, name)) for name in VALUES} == VALUES


def test_the_output_folder_is_text_as_steps_expect(made: Any) -> None:
    """FINN allows a Path there too, but its own command gives text, and steps are written for that."""
    assert made.output_dir + "/report" == "/sandbox/out/report"


@pytest.mark.parametrize(
    ("name", "value"), [("shell_flow_type", "vivado_zinq"), ("synth_clk_period_ns", "fast"), ("no_such_field", 1)]
)
def test_values_that_finn_does_not_take(config_class: Any, name: str, value: Any) -> None:
    with pytest.raises(StepFailed, match=f"does not take {name} = {value!r}"):
        config.make(config_class, {**VALUES, name: value})


def test_a_view_passes_for_what_it_shows(view: Any, made: Any, config_class: Any) -> None:
    assert isinstance(view, config_class)
    assert type(view).__name__ == config_class.__name__
    assert type(view).__module__ == config_class.__module__
    assert repr(view) == repr(made)
    assert dataclasses.is_dataclass(view)


@pytest.mark.parametrize(
    ("look", "read"),
    [
        (lambda view: view.target_fps, {"target_fps"}),
        (lambda view: getattr(view, "board", None), {"board"}),
        (lambda view: hasattr(view, "board"), {"board"}),
        (lambda view: hasattr(view, "no_such_field"), set()),
        (lambda view: isinstance(view, object), set()),
        (lambda view: dataclasses.fields(view), set()),
        (lambda view: view._resolve_hls_clk_period(), {"hls_clk_period_ns", "synth_clk_period_ns"}),
        (lambda view: (view.target_fps, view.target_fps), {"target_fps"}),
    ],
)
def test_what_is_read_is_known(view: Any, reads: set[str], look: Callable[[Any], Any], read: set[str]) -> None:
    look(view)
    assert reads == read


@pytest.mark.parametrize(
    "look",
    [
        vars,
        repr,
        copy.copy,
        copy.deepcopy,
        pickle.dumps,
        dataclasses.asdict,
        dataclasses.replace,
        lambda view: view.__dict__,
        lambda view: view.__getstate__(),
        lambda view: view.__reduce__(),
        lambda view: view == view,
        lambda view: view.to_dict(),
        lambda view: view.to_json(),
    ],
)
def test_whoever_takes_the_whole_has_read_everything(
    view: Any, reads: set[str], config_class: Any, look: Callable[[Any], Any]
) -> None:
    look(view)
    assert reads == names(config_class)


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda view: pickle.loads(pickle.dumps(view)),
        lambda view: dataclasses.replace(view),
        lambda view: type(view)(**vars(view)),
    ],
)
def test_a_copy_is_free_and_equal(
    view: Any, made: Any, config_class: Any, reads: set[str], duplicate: Callable[[Any], Any]
) -> None:
    another = duplicate(view)
    assert type(another) is config_class
    assert another == made
    reads.clear()
    another.target_fps = 7
    assert another.board == "Pynq-Z2"
    assert reads == set()
    assert view.target_fps == 100


def test_replacing_a_field_in_a_copy(view: Any) -> None:
    assert dataclasses.replace(view, target_fps=7).target_fps == 7


@pytest.mark.parametrize(
    "write",
    [
        lambda view: setattr(view, "target_fps", 1),
        lambda view: setattr(view, "no_such_field", 1),
        lambda view: delattr(view, "target_fps"),
    ],
)
def test_writing_is_refused_with_what_to_do(view: Any, write: Callable[[Any], Any]) -> None:
    with pytest.raises(StepFailed) as refused:
        write(view)
    assert "the step writes cfg." in refused.value.message
    assert "copy.copy(cfg)" in str(refused.value.hint)
    assert view.target_fps == 100


def test_two_views_keep_their_books_apart(made: Any) -> None:
    one, other = set[str](), set[str]()
    first, second = config.recording(made, one), config.recording(made, other)
    _ = first.board, second.target_fps
    assert (one, other) == ({"board"}, {"target_fps"})
