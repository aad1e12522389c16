"""The recipe's settings as FINN's build configuration: words, overlays, files, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from finnyaml.errors import Problem
from finnyaml.finn import settings
from finnyaml.finn.catalog import Field
from finnyaml.finn.settings import FinnConfig
from tests.plan.catalog import CATALOG, Maker

STEPS = "steps: [tidy_up]\n"


def resolved(maker: Maker, text: str, sets: tuple[str, ...] = ()) -> FinnConfig:
    config, problems = settings.resolve(maker.recipe(STEPS + text, sets), CATALOG)
    assert not problems, [problem.message for problem in problems]
    return config


def problem(maker: Maker, text: str) -> Problem:
    _, problems = settings.resolve(maker.recipe(STEPS + text), CATALOG)
    assert len(problems) == 1, [problem.message for problem in problems]
    return problems[0]


def staged(config: FinnConfig, name: str) -> Any:
    """The content of a file that was made from the recipe."""
    assert config.values[name] == f"@inputs/{name}.json"
    data = config.staged[f"{name}.json"].data
    assert data is not None
    return json.loads(data)


EXAMPLES: dict[tuple[str, str], Any] = {
    ("folding", "target_fps"): 2000,
    ("folding", "mvau_wwidth_max"): 160,
    ("folding", "two_pass_relaxation"): False,
    ("fifo", "auto"): False,
    ("fifo", "strategy"): "largefifo_rtlsim",
    ("fifo", "large_mem_style"): "ultra",
    ("target", "board"): "Pynq-Z2",
    ("target", "part"): "xczu9eg-ffvb1156-2-e",
    ("target", "clock_ns"): 5.0,
    ("target", "hls_clock_ns"): 4.0,
    ("target", "shell"): "vitis_alveo",
    ("target", "vitis_platform"): "xilinx_u250",
}


def test_there_is_an_example_of_every_word() -> None:
    assert EXAMPLES.keys() == settings.STRUCTURED.keys()


@pytest.mark.parametrize("word", EXAMPLES)
def test_every_word_sets_its_field(maker: Maker, word: tuple[str, str]) -> None:
    section, key = word
    config = resolved(maker, f"{section}: {{{key}: {json.dumps(EXAMPLES[word])}}}")
    name = settings.STRUCTURED[word]
    assert config.values == {name: EXAMPLES[word]}
    assert config.pointers == {name: word}


@pytest.mark.parametrize("word", EXAMPLES)
def test_a_field_with_a_word_is_not_set_under_finn(maker: Maker, word: tuple[str, str]) -> None:
    name = settings.STRUCTURED[word]
    told = problem(maker, f"finn: {{{name}: {json.dumps(EXAMPLES[word])}}}")
    assert told.message == f"`finn: {name}` has a word of its own"
    assert told.hint == f"write `{word[0]}: {{{word[1]}: ...}}` instead"


@pytest.mark.parametrize("name", ["folding_config_file", "specialize_layers_config_file", "fifo_config_file"])
def test_nor_is_a_field_with_a_section(maker: Maker, name: str) -> None:
    assert "file: ..." in str(problem(maker, f"finn: {{{name}: x.json}}").hint)


def test_outputs_and_other_fields(maker: Maker) -> None:
    config = resolved(
        maker, "outputs: [estimate_reports, bitfile]\nfinn: {standalone_thresholds: true, signature: [1, 2]}"
    )
    assert config.values == {
        "generate_outputs": ["estimate_reports", "bitfile"],
        "standalone_thresholds": True,
        "signature": [1, 2],
    }
    assert "outputs: [...]" in str(problem(maker, "finn: {generate_outputs: [bitfile]}").hint)


@pytest.mark.parametrize("name", [name for name in settings.OURS if name in CATALOG.fields])
def test_fields_that_are_ours_say_what_to_write(maker: Maker, name: str) -> None:
    told = problem(maker, f"finn: {{{name}: x}}")
    assert told.message == f"`finn: {name}` is set by finnyaml"
    assert told.hint == f"use {settings.OURS[name]}"


def test_a_field_that_is_ours_is_told_so_even_where_this_finn_lacks_it(maker: Maker) -> None:
    assert "--from STEP" in str(problem(maker, "finn: {start_step: step_tidy_up}").hint)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "finn: {standalone_threshold: true}",
            "finn 0.99 has no build option 'standalone_threshold'",
            "did you mean 'standalone_thresholds'?",
        ),
        ("finn: {Standalone-Thresholds: true}", "has no build option", "did you mean 'standalone_thresholds'?"),
        ("finn: {xyz: true}", "has no build option 'xyz'", "known here: auto_fifo_depths"),
        ("target: {board: pynq_z2}", "finn 0.99 knows no board 'pynq_z2'", "did you mean 'Pynq-Z2'?"),
        (
            "target: {shell: vivado_zync}",
            "'vivado_zync' is not a value of shell_flow_type in finn 0.99",
            "did you mean 'vivado_zynq'?",
        ),
        ("outputs: [bitfile, reports]", "'reports' is not a value of generate_outputs", "estimate_reports"),
        (
            "finn: {verify_steps: [initial_pyton]}",
            "'initial_pyton' is not a value of verify_steps",
            "did you mean 'initial_python'?",
        ),
        (
            "finn: {standalone_thresholds: 1}",
            "standalone_thresholds takes a bool, not 1",
            "Thresholds in layers of their own.",
        ),
        ("finn: {standalone_thresholds: null}", "standalone_thresholds cannot be null", "None"),
        ("finn: {signature: 5}", "signature takes a list, not 5", "None"),
        ("finn: {verify_input_npy: 5}", "verify_input_npy takes a path, not 5", "None"),
        ("finn: {verify_input_npy: gone.npy}", "`finn: verify_input_npy`: there is no file gone.npy", "None"),
    ],
)
def test_what_this_finn_does_not_know_is_an_error(maker: Maker, text: str, message: str, hint: str) -> None:
    told = problem(maker, text)
    assert message in told.message
    assert hint in str(told.hint)
    assert told.where is not None and told.where.line == 3
    assert told.severity == "error"


def test_a_structured_field_that_this_finn_lacks(maker: Maker) -> None:
    older = replace(
        CATALOG, fields={name: item for name, item in CATALOG.fields.items() if name != "hls_clk_period_ns"}
    )
    _, (told,) = settings.resolve(maker.recipe(STEPS + "target: {hls_clock_ns: 5.0}"), older)
    assert "finn 0.99 has no build option 'hls_clk_period_ns'" in told.message


def test_folding_nodes_and_defaults_join_the_file(maker: Maker) -> None:
    file = {"Defaults": {"ram_style": ["block", "all"]}, "MVAU_hls_0": {"PE": 1, "SIMD": 2}, "MVAU_hls_1": {"PE": 4}}
    maker.write("folding.json", json.dumps(file))
    text = "folding: {file: folding.json, nodes: {MVAU_hls_0: {PE: 8}}, defaults: {mem_mode: [internal_embedded, all]}}"
    assert staged(resolved(maker, text), "folding_config_file") == {
        "Defaults": {"ram_style": ["block", "all"], "mem_mode": ["internal_embedded", "all"]},
        "MVAU_hls_0": {"PE": 8, "SIMD": 2},
        "MVAU_hls_1": {"PE": 4},
    }


def test_folding_nodes_alone_have_empty_defaults_since_finn_looks_for_them(maker: Maker) -> None:
    text = "folding: {nodes: {MVAU_hls_0: {PE: 8, runtime_writeable_weights: 1}}}"
    expected = {"Defaults": {}, "MVAU_hls_0": {"PE": 8, "runtime_writeable_weights": 1}}
    assert staged(resolved(maker, text), "folding_config_file") == expected


def test_a_target_alone_makes_no_file(maker: Maker) -> None:
    config = resolved(maker, "folding: {target_fps: 5, nodes: {}}")
    assert config.values == {"target_fps": 5}
    assert not config.staged


def test_styles_join_the_file(maker: Maker) -> None:
    file = {"Defaults": {"preferred_impl_style": ["hls", ["Thresholding"]]}, "MVAU_0": {"preferred_impl_style": "hls"}}
    maker.write("special.json", json.dumps(file))
    config = resolved(maker, "specialize: {file: special.json, nodes: {MVAU_1: rtl}, defaults: {MVAU: rtl}}")
    assert staged(config, "specialize_layers_config_file") == {
        "Defaults": {"preferred_impl_style": ["hls", ["Thresholding"], "rtl", ["MVAU"]]},
        "MVAU_0": {"preferred_impl_style": "hls"},
        "MVAU_1": {"preferred_impl_style": "rtl"},
    }


def test_a_style_for_all_takes_the_place_of_those_in_the_file(maker: Maker) -> None:
    maker.write("special.json", json.dumps({"Defaults": {"preferred_impl_style": ["hls", ["MVAU"]]}}))
    config = resolved(maker, "specialize: {file: special.json, defaults: {all: rtl}}")
    assert staged(config, "specialize_layers_config_file")["Defaults"] == {"preferred_impl_style": ["rtl", "all"]}


def test_a_style_for_all_beside_others_fails_in_finn_so_it_is_refused(maker: Maker) -> None:
    told = problem(maker, "specialize: {defaults: {MVAU: rtl, all: hls}}")
    assert told.message == "FINN takes one default for all layers or defaults by op type, not both"
    assert told.where is not None and (told.where.line, told.where.column) == (3, 24)


def test_fifo_depths_join_the_file_and_turn_sizing_off(maker: Maker) -> None:
    file = {
        "fifo_depths": {"F_0": 2, "F_1": 4},
        "impl_style": {"F_0": "rtl", "F_1": "rtl"},
        "ram_style": {"F_0": "block", "F_1": "auto"},
    }
    maker.write("fifo.json", json.dumps(file))
    config = resolved(maker, "fifo: {file: fifo.json, depths: {F_0: 32, F_1: {ram_style: ultra}, F_2: 8}}")
    assert staged(config, "fifo_config_file") == {
        "fifo_depths": {"F_0": 32, "F_1": 4, "F_2": 8},
        "impl_style": {"F_0": "rtl", "F_1": "rtl", "F_2": "rtl"},
        "ram_style": {"F_0": "block", "F_1": "ultra", "F_2": "auto"},
    }
    assert config.values["auto_fifo_depths"] is False
    assert config.pointers["auto_fifo_depths"] == ("fifo",)


@pytest.mark.parametrize(
    ("depths", "message", "column"),
    [
        ("{F_0: {depth: 4, inFIFODepths: [2]}}", "FINN's FIFO configuration has no 'inFIFODepths'", 47),
        ("{F_0: {ram_style: block}}", "F_0 has no depth", 22),
    ],
)
def test_fifo_attributes_that_would_be_lost(maker: Maker, depths: str, message: str, column: int) -> None:
    told = problem(maker, f"fifo: {{depths: {depths}}}")
    assert told.message == message
    assert told.where is not None and (told.where.line, told.where.column) == (3, column)


@pytest.mark.parametrize("given", ["depths: {F_0: 4}", "file: fifo.json"])
def test_automatic_sizing_beside_given_depths(maker: Maker, given: str) -> None:
    maker.write("fifo.json", '{"fifo_depths": {}, "impl_style": {}, "ram_style": {}}')
    told = problem(maker, f"fifo: {{auto: true, {given}}}")
    assert "sizes the FIFOs, so the depths given beside it would be ignored" in told.message
    assert told.where is not None and told.where.column == 14
    assert resolved(maker, f"fifo: {{auto: false, {given}}}").values["auto_fifo_depths"] is False


def test_a_section_that_this_finn_has_no_file_for(maker: Maker) -> None:
    older = replace(CATALOG, fields={name: item for name, item in CATALOG.fields.items() if name != "fifo_config_file"})
    _, problems = settings.resolve(maker.recipe(STEPS + "fifo: {depths: {F_0: 2}}"), older)
    assert "has no build option 'fifo_config_file'" in problems[0].message


def test_a_file_of_a_field_is_staged_under_its_name(maker: Maker) -> None:
    maker.write("data/images.npy", "")
    config = resolved(maker, "finn: {verify_input_npy: data/images.npy}")
    assert config.values == {"verify_input_npy": "@inputs/verify_input_npy.npy"}
    assert config.staged["verify_input_npy.npy"].source == maker.folder / "data/images.npy"


def test_a_file_is_relative_to_the_base_recipe_that_wrote_it(maker: Maker) -> None:
    maker.write("base/images.npy", "")
    maker.write("images.npy", "another one")
    maker.write("base/base.yaml", "model: {onnx: ../model.onnx}\nfinn: {verify_input_npy: images.npy}\n")
    recipe = maker.recipe("extends: base/base.yaml\n" + STEPS)
    config, problems = settings.resolve(recipe, CATALOG)
    assert not problems
    assert config.staged["verify_input_npy.npy"].source == maker.folder / "base/images.npy"


def test_a_file_set_on_the_command_line_is_relative_to_the_recipe(maker: Maker) -> None:
    maker.write("images.npy", "")
    config = resolved(maker, "", ("finn.verify_input_npy=images.npy",))
    assert config.staged["verify_input_npy.npy"].source == maker.folder / "images.npy"


def test_an_overlay_counts_for_its_own_task_only(maker: Maker) -> None:
    plan = maker.plan("""
steps:
  - tidy_up
  - uses: streamline
    with: {folding: {target_fps: 7}, outputs: [bitfile], finn: {standalone_thresholds: true}}
  - convert_to_hw
folding: {target_fps: 100, mvau_wwidth_max: 160}
""")
    base = {"target_fps": 100, "mvau_wwidth_max": 160}
    mine = {"target_fps": 7, "generate_outputs": ["bitfile"], "standalone_thresholds": True}
    assert plan.tasks["tidy_up"].config == plan.tasks["convert_to_hw"].config == base
    assert plan.tasks["streamline"].config == base | mine
    assert plan.tasks["streamline"].own_settings == mine.keys()
    assert plan.tasks["tidy_up"].own_settings == set()
    assert plan.tasks["streamline"].setting_pointers["target_fps"] == ("steps", 1, "with", "folding", "target_fps")
    assert plan.tasks["streamline"].setting_pointers["mvau_wwidth_max"] == ("folding", "mvau_wwidth_max")
    assert plan.tasks["tidy_up"].setting("standalone_thresholds") is False  # FINN's default


def test_nodes_of_an_overlay_add_to_those_of_the_recipe(maker: Maker) -> None:
    plan = maker.plan("""
steps: [tidy_up, {uses: streamline, with: {folding: {nodes: {B: {PE: 2}}}}}]
folding: {nodes: {A: {PE: 1}}}
""")
    file = json.loads(plan.tasks["streamline"].staged["folding_config_file.json"].data or b"")
    assert file == {"Defaults": {}, "A": {"PE": 1}, "B": {"PE": 2}}
    assert plan.tasks["streamline"].own_settings == {"folding_config_file"}
    assert "B" not in str(plan.tasks["tidy_up"].staged)


def test_a_problem_of_an_overlay_is_told_once_at_its_place(maker: Maker) -> None:
    (told,) = maker.refused("steps: [tidy_up, {uses: streamline, with: {finn: {xyz: 1}}}]\n")
    assert told.where is not None and told.where.line == 2
    (both,) = maker.refused("steps: [tidy_up, {uses: streamline, with: {folding: {target_fps: 1}}}]\nfinn: {xyz: 1}")
    assert both.where is not None and both.where.line == 3


def test_arguments_of_own_code_are_no_settings(maker: Maker) -> None:
    plan = maker.plan('steps: [{uses: "own.py:lean", with: {by: 2}}]\nfolding: {target_fps: 9}')
    assert plan.tasks["lean"].config == {"target_fps": 9}
    assert plan.tasks["lean"].own_settings == set()


def test_a_settings_file_that_is_no_longer_json_is_told(maker: Maker, tmp_path: Path) -> None:
    """It may be edited after the recipe was loaded."""
    path = maker.write("folding.json", "{}")
    recipe = maker.recipe(STEPS + "folding: {file: folding.json}")
    path.write_text("{")
    _, (told,) = settings.resolve(recipe, CATALOG)
    assert "folding.json is not a JSON file" in told.message


def test_a_value_by_its_name_is_the_value(maker: Maker) -> None:
    fields = {
        **CATALOG.fields,
        "strength": Field("strength", "enum", False, "0", ("0", "3"), names=("DEFAULT", "BEST")),
        "generate_outputs": replace(CATALOG.fields["generate_outputs"], names=("ESTIMATE_REPORTS", "BITFILE")),
    }
    catalog = replace(CATALOG, fields=fields)
    text = STEPS + "outputs: [BITFILE, estimate_reports]\nfinn: {strength: BEST}\n"
    config, problems = settings.resolve(maker.recipe(text), catalog)
    assert not problems
    assert config.values == {"generate_outputs": ["bitfile", "estimate_reports"], "strength": "3"}
    _, (told,) = settings.resolve(maker.recipe(STEPS + "finn: {strength: 7}"), catalog)
    assert told.hint == "it has 0 (DEFAULT), 3 (BEST)"


OLD = {
    "Defaults": {},
    "MVAU_hls_0": {"PE": 2},
    "StreamingMaxPool_hls_0": {"PE": 1},
    "StreamingMaxPool_hls_1": {"PE": 4},
    "StreamingFIFO_rtl_3": {"depth": 64, "ram_style": "block"},
    "StreamingDataWidthConverter_hls_0": {"impl_style": "hls"},
}


def test_entries_are_renamed_and_left_out(maker: Maker) -> None:
    maker.write("old.json", json.dumps({name: OLD[name] for name in list(OLD)[:4]}))
    text = "folding: {file: old.json, rename: {StreamingMaxPool: Pool, StreamingMaxPool_hls_1: null}}"
    assert staged(resolved(maker, text), "folding_config_file") == {
        "Defaults": {}, "MVAU_hls_0": {"PE": 2}, "Pool_hls_0": {"PE": 1}
    }  # fmt: skip
    text = "folding: {file: old.json, nodes: {StreamingMaxPool_hls_0: null, StreamingMaxPool_hls_1: null}}"
    assert staged(resolved(maker, text), "folding_config_file") == {"Defaults": {}, "MVAU_hls_0": {"PE": 2}}


@pytest.mark.parametrize("text", ["rename: {MVAU_hls_7: MVAU_hls_0}", "nodes: {MVAU_hls_7: null}"])
def test_what_names_no_entry_is_refused(maker: Maker, text: str) -> None:
    maker.write("old.json", json.dumps({"MVAU_hls_0": {"PE": 2}}))
    told = problem(maker, f"folding: {{file: old.json, {text}}}")
    assert "has no" in told.message
    assert "MVAU_hls_0" in str(told.hint)


def test_fifos_in_a_folding_file_are_those_of_the_section(maker: Maker) -> None:
    maker.write("old.json", json.dumps({name: OLD[name] for name in ("MVAU_hls_0", "StreamingFIFO_rtl_3")}))
    config = resolved(maker, "folding: {file: old.json}\nfifo: {auto: false}")
    assert staged(config, "folding_config_file") == {"Defaults": {}, "MVAU_hls_0": {"PE": 2}}
    assert staged(config, "fifo_config_file") == {
        "fifo_depths": {"StreamingFIFO_rtl_3": 64},
        "impl_style": {"StreamingFIFO_rtl_3": "rtl"},
        "ram_style": {"StreamingFIFO_rtl_3": "block"},
    }


def test_what_finn_inserts_behind_folding_is_left_out_and_said(maker: Maker) -> None:
    maker.write("old.json", json.dumps(OLD))
    config, (told,) = settings.resolve(maker.recipe(STEPS + "folding: {file: old.json}"), CATALOG)
    assert told.severity == "warning"
    assert "1 FIFO and 1 width converter" in told.message
    assert staged(config, "folding_config_file").keys() == set(list(OLD)[:4])


def test_a_settings_file_in_yaml(maker: Maker) -> None:
    maker.write("folding.yaml", "MVAU_hls_0: {PE: 2}\n")
    config = resolved(maker, "folding: {file: folding.yaml}")
    assert staged(config, "folding_config_file") == {"Defaults": {}, "MVAU_hls_0": {"PE": 2}}


def test_unknown_nodes_are_left_out_where_the_recipe_says_so(maker: Maker) -> None:
    config = resolved(maker, "folding: {unknown: warn, nodes: {MVAU_hls_0: {PE: 2}}}")
    assert config.values["folding_config_file"] == "@inputs/folding_config_file.lenient.json"
