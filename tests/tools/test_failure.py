"""The first real cause in logs. The logs are written after those of the real tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from finnyaml.tools.failure import first_error_of, hint_for, tool_logs
from tests.tools.logs import first_error

DECOYS = """\
INFO: [Common 17-1460] Use of init.tcl in ERROR_HANDLER is deprecated
INFO: [Project 1-570] ERROR: is what this message does not mean
# report_errors -all; puts "ERROR: nothing"
WARNING: [Synth 8-3848] Net error_count does not have driver.
ERROR_COUNT = 0
0 Infos, 0 Warnings, 0 Critical Warnings and 0 Errors encountered.
Finished with 0 Errors
set_msg_config -id {[BD 41-1753]} -new_severity {ERROR}
CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements. Please see the report
report_timing_summary -file error.rpt
Exception ignored in: <function Popen.__del__>
Memory (MB): peak = 2123.898 ; gain = 415.859
"""

CAUSES = [
    "ERROR: [Synth 8-439] module 'MVAU_hls_3_imp' not found [/tmp/x.v:42]",
    "ERROR: [HLS 200-70] Compilation errors found: 3 errors",
    "ERROR: [v++ 60-300] Failed to build kernel(ip) StreamingDataflowPartition_1",
    "ERROR: [VRFC 10-2063] Module <fifo_gauge> not found while processing module instance",
    "FATAL_ERROR: Vivado Simulator kernel has discovered an exceptional condition",
    "Abnormal program termination (11)",
    "top.cpp:12:3: error: 'ap_uint' was not declared in this scope",
    "/usr/bin/ld: cannot find -lz: No such file or directory",
    "node_model.cpp:(.text+0x1): undefined reference to `gzopen'",
    "g++: fatal error: no input files",
    "CMake Error at CMakeLists.txt:136 (find_package):",
    "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xczu9eg'.",
    "ipgen.sh: line 4:  4711 Killed                  vitis_hls hls_syn_MVAU_hls_0.tcl",
    "Killed",
    "terminate called after throwing an instance of 'std::bad_alloc'",
    "write failed: No space left on device",
    "process exited with code 137",
]


@pytest.mark.parametrize("cause", CAUSES)
def test_a_cause_is_found_among_decoys_and_before_what_follows_from_it(cause: str) -> None:
    log = f"{DECOYS}{cause}\n{DECOYS}ERROR: [Vivado 12-4711] something later\nmake: *** [Makefile:3: all] Error 1\n"
    found = first_error(log)
    assert found is not None
    assert (found.line, found.text) == (DECOYS.count("\n") + 1, cause)


@pytest.mark.parametrize("line", DECOYS.splitlines())
def test_a_decoy_alone_is_nothing(line: str) -> None:
    assert first_error(line) is None


@pytest.mark.parametrize(
    "follow_up",
    [
        "ERROR: [Common 17-69] Command failed: Synthesis failed - please see the console or run log file for details",
        "ERROR: [Common 17-39] 'send_msg_id' failed due to earlier errors.",
        "ERROR: [Vivado 12-13638] Failed runs(s) : 'synth_1'",
        "make: *** [Makefile:12: all] Error 2",
        "collect2: error: ld returned 1 exit status",
        "subprocess.CalledProcessError: Command '['bash', 'ipgen.sh']' returned non-zero exit status 1.",
    ],
)
def test_what_only_says_that_something_failed_gives_way_to_the_cause(follow_up: str) -> None:
    cause = "ERROR: [BD 41-238] Port/Pin property ASSOCIATED_BUSIF is invalid"
    found = first_error(f"fine\n{follow_up}\n{cause}\n")
    assert found is not None
    assert found.text == cause
    alone = first_error(f"fine\n{follow_up}\nfine\n")
    assert alone is not None
    assert (alone.line, alone.text) == (2, follow_up)


def test_a_critical_warning_counts_only_when_there_is_nothing_better() -> None:
    warning = "CRITICAL WARNING: [filemgmt 20-742] The top module is not set."
    found = first_error(f"{DECOYS}{warning}\n")
    assert found is not None
    assert found.text == warning
    found = first_error(f"{warning}\nERROR: [Synth 8-1] worse\n")
    assert found is not None
    assert found.line == 2


def test_of_chained_tracebacks_the_first_that_says_something() -> None:
    log = """\
Traceback (most recent call last):
  File "hls.py", line 91, in build
    launch_process_helper(["bash", str(self.ipgen_script)])
KeyError: 'MVAU_hls_0'

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "steps.py", line 3, in step
    raise FINNUserError("no")
finn.util.exception.FINNUserError: HLS IP Generation failed.
"""
    found = first_error(log)
    assert found is not None
    assert (found.line, found.text) == (4, "KeyError: 'MVAU_hls_0'")
    cause = "ERROR: [HLS 207-812] 'weights.hpp' file not found"
    found = first_error(f"{log}{cause}\n")
    assert found is not None
    assert found.text == cause
    assert "finn-hlslib" in (found.hint or "")


def test_a_tcl_script_that_breaks() -> None:
    log = 'source make_project.tcl\ncouldn\'t open "x": no such file or directory\n    while executing\n"open x"\n'
    found = first_error(log)
    assert found is not None
    assert (found.line, found.text) == (2, 'couldn\'t open "x": no such file or directory')


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ERROR: [Common 17-345] A valid license was not found for feature", "XILINXD_LICENSE_FILE"),
        ("ERROR: [Coretcl 2-106] Specified part could not be found.", "target.part"),
        ("No space left on device", "disk is full"),
        ("Killed", "memory"),
        ("returned non-zero exit status 137", "memory"),
        ("Abnormal program termination (11)", "crashed"),
        ("fatal error: ap_int.h: No such file or directory", "XILINX_HLS"),
        ("ERROR: [Synth 8-439] module not found", None),
    ],
)
def test_hints(text: str, hint: str | None) -> None:
    found = hint_for(text)
    assert found is None if hint is None else hint in (found or "")


def test_an_empty_log_and_one_of_garbage(tmp_path: Path) -> None:
    assert first_error("") is None
    log = tmp_path / "log"
    log.write_bytes(b"\xff\xfe\x00\n" * 10 + b"ERROR: [X 1-1] \xff gone\r\n")
    found = first_error(log)
    assert found is not None
    assert found.line == 11


def test_a_large_log_with_a_line_without_end(tmp_path: Path) -> None:
    log = tmp_path / "vivado.log"
    with log.open("wb") as file:
        for _ in range(40):
            file.write(b"INFO: [Synth 8-638] synthesizing module 'fifo' ERROR_COUNT 0\n" * 10_000)
        file.write(b"x" * 10_000_000)
        file.write(b"\nERROR: [Synth 8-1] at last " + b"y" * 100_000 + b"\n")
    found = first_error(log)
    assert found is not None
    assert found.line == 400_002
    assert found.text.startswith("ERROR: [Synth 8-1] at last")
    assert len(found.text) < 3000


def test_the_cause_may_be_in_the_log_of_a_tool_and_not_in_that_of_the_step(tmp_path: Path) -> None:
    old, task = tmp_path / "old" / "vivado.log", tmp_path / "task.log"
    mine = tmp_path / "code_gen_MVAU" / "vitis_hls.log"
    for path, text, when in (
        (old, "ERROR: [X 1-1] of another run", 100),
        (mine, "fine\nERROR: [HLS 200-70] the cause", 200),
        (task, "Traceback (most recent call last):\n  x\nFINNUserError: HLS IP Generation failed.", 300),
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (when, when))
    assert tool_logs(tmp_path, since=200) == [mine, task]
    found = first_error_of([task, *tool_logs(tmp_path / "code_gen_MVAU")])
    assert found is not None
    assert (found[0], found[1].line, found[1].text) == (mine, 2, "ERROR: [HLS 200-70] the cause")
    assert first_error_of([tmp_path / "gone.log"]) is None


LINES = [
    "",
    " ",
    "while executing",
    "Traceback (most recent call last):",
    "  x",
    "KeyError",
    *CAUSES,
    *DECOYS.splitlines(),
]


@settings(deadline=None)  # a busy machine is not a defect
@given(st.text() | st.lists(st.sampled_from(LINES) | st.text()).map("\n".join))
@example("while executing")
@example("\n \nwhile executing")
@example("Traceback (most recent call last):\nwhile executing")
def test_what_is_found_is_a_line_of_the_log(text: str) -> None:
    found = first_error(text)
    if found is not None:
        assert found.text
        assert found.text in text.encode("utf-8", "replace").decode().split("\n")[found.line - 1]
