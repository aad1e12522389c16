"""STAND-INS for Vivado, Vitis HLS, v++ and other external tools: small programs that are NOT those tools.

They prove how finnyaml and FINN call tools, and what finnyaml makes of the ways tools fail; they prove nothing about
the hardware. A stand-in tells a version, notes every call in `calls.jsonl` beside it, and then behaves as it was told:

* `works`: prints what the tool would (also into its log, `vivado.log`), leaves the files it is asked for, ends with 0;
* `no_licence`, `buried_error`, `out_of_disk`, `unknown_part`, `fails_silently`: ends with 1, after a log as Vivado's;
* `fails_late`: leaves all its files first;
* `crashes`, `killed`: dies of a signal, as Vivado does of a bad pointer or of too little memory;
* `hangs`: starts a child and waits until it is ended;
* `version_hangs`, `version_crashes`, `version_fails`, `no_version`: as `works`, but cannot tell its version.

Those of Vitis HLS and Vivado make the files that FINN looks for after `hw_ipgen`, `create_stitched_ip`,
`out_of_context_synthesis` and `synthesize_bitfile` (for Zynq), with nothing in them.
"""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

BEHAVIOURS = (
    "works",
    "no_licence",
    "buried_error",
    "out_of_disk",
    "unknown_part",
    "fails_silently",
    "fails_late",
    "crashes",
    "killed",
    "hangs",
    "version_hangs",
    "version_crashes",
    "version_fails",
    "no_version",
)

VERSIONS = {
    "vivado": "Vivado v{version} (64-bit)\nSW Build 3671981 on Fri Oct 14 04:59:54 MDT 2022",
    "vitis_hls": "Vitis HLS - High-Level Synthesis from C, C++ and OpenCL v{version} (64-bit)",
    "vitis-run": "\n****** vitis-run v{version} (64-bit)\n",
    "v++": "\n****** v++ v{version} (64-bit)\n",
    "xbutil": "Version              : {version}\nBranch               : none",
    "g++": "g++ (Stand-in) {version}\nCopyright (C) Free Software Foundation, Inc.",
    "verilator": "Verilator {version} 2023-01-22 rev v{version}",
}
"""What the real tools print when asked for their version."""

_PROGRAM = r'''#!{python} -SE
"""A stand-in written by tests/tools/standins.py. Not the real {tool}."""
import json, os, re, signal, subprocess, sys, time

TOOL, BEHAVIOURS, VERSION, FILES, FOLDER = {settings!r}
ASKED = any(word in ("-version", "--version") for word in sys.argv[1:])

with open(os.path.join(FOLDER, "calls.jsonl"), "a") as calls:
    note = dict(tool=TOOL, argv=sys.argv[1:], cwd=os.getcwd(), env=dict(os.environ), pid=os.getpid(), version=ASKED)
    calls.write(json.dumps(note) + "\n")

TURN = os.path.join(FOLDER, "." + TOOL + ".turn")
BEHAVIOUR = BEHAVIOURS[0]
if not ASKED:
    with open(TURN, "a+") as turns:
        turns.write(".")
    BEHAVIOUR = BEHAVIOURS[min(os.path.getsize(TURN), len(BEHAVIOURS)) - 1]

LOGS = {"vivado": "vivado.log", "vitis_hls": "vitis_hls.log", "vitis-run": "vitis_hls.log", "v++": "v++_a.log"}
LOG = None if ASKED else LOGS.get(TOOL)

def say(*lines):
    for line in lines:
        print(line, flush=True)
    if LOG:
        with open(LOG, "a") as log:
            log.write("\n".join(lines) + "\n")

def die(number):
    sys.stdout.flush()
    os.kill(os.getpid(), number)
    time.sleep(60)

def fail(*lines):
    say(*lines)
    sys.exit(1)

def hang():
    subprocess.Popen(["sleep", "600"])
    time.sleep(600)

if ASKED:
    if BEHAVIOUR == "version_hangs":
        hang()
    if BEHAVIOUR == "version_crashes":
        die(signal.SIGSEGV)
    if BEHAVIOUR == "version_fails":
        fail("/opt/none/loader: line 312: cannot find the executable")
    say("hello" if BEHAVIOUR == "no_version" else VERSION)
    sys.exit(0)

say("", "****** " + VERSION, "  ** Copyright 1986-2022 Xilinx, Inc. All Rights Reserved.",
    "# Current directory: " + os.getcwd(),
    "INFO: [Common 17-1460] Use of init.tcl, ERROR_COUNT is 0", "# report_errors -all", "0 Errors encountered.")

if BEHAVIOUR == "no_licence":
    fail("Attempting to get a license for feature 'Synthesis' and/or device 'xczu9eg'",
         "WARNING: [Common 17-348] Failed to get the license for feature 'Synthesis' and/or device 'xczu9eg'.",
         "3 Infos, 1 Warnings, 0 Critical Warnings and 1 Errors encountered.", "synth_design failed",
         "ERROR: [Common 17-345] A valid license was not found for feature 'Synthesis' and/or device 'xczu9eg'. "
         "Please run the Vivado License Manager for assistance.",
         "INFO: [Common 17-206] Exiting Vivado at Thu Sep  5 12:16:54 2019...")
if BEHAVIOUR == "buried_error":
    say(*("INFO: [Synth 8-638] synthesizing module 'layer_%d' (ERROR_%d handled)" % (i, i) for i in range(5000)))
    say("CRITICAL WARNING: [Timing 38-282] The design failed to meet the timing requirements.",
        "CRITICAL WARNING: [filemgmt 20-742] The top module is not set.",
        "ERROR: [Synth 8-439] module 'MVAU_hls_3_imp' not found [/tmp/finn_design_wrapper.v:42]",
        "ERROR: [Synth 8-6156] failed synthesizing module 'finn_design' [/tmp/finn_design.v:13]")
    say(*("INFO: [Common 17-83] Releasing license: Synthesis" for i in range(200)))
    fail("18 Infos, 2 Warnings, 2 Critical Warnings and 3 Errors encountered.", "synth_design failed",
         "ERROR: [Common 17-69] Command failed: Synthesis failed - please see the console or run log file for details")
if BEHAVIOUR == "out_of_disk":
    fail("ERROR: [Common 17-49] Internal Data Exception: write failed: No space left on device")
if BEHAVIOUR == "unknown_part":
    fail("ERROR: [Coretcl 2-106] Specified part could not be found.")
if BEHAVIOUR == "fails_silently":
    sys.exit(1)
if BEHAVIOUR == "crashes":
    say("Abnormal program termination (11)", "Please check '/tmp/hs_err_pid4711.log' for details")
    die(signal.SIGSEGV)
if BEHAVIOUR == "killed":
    say("Starting RTL Elaboration : Time (s): cpu = 00:00:03 ; elapsed = 00:00:04 . Memory (MB): peak = 63123.898")
    die(signal.SIGKILL)
if BEHAVIOUR == "hangs":
    hang()

def write(path, text):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    with open(path, "w") as file:
        file.write(text)

for path, text in FILES.items():
    write(path, text)

NOTE = "by the stand-in of " + TOOL + "\n"
TABLE = "| CLB LUTs | 4711 |\n| CLB Registers | 815 |\nWNS(ns)  TNS(ns)\n 1.5  0.0\n"

def obey(text):
    """Leave the files that FINN looks for after a script of its own."""
    unset = [name for name in re.findall(r"\$::env\((\w+)\)", text) if name not in os.environ]
    if unset:
        fail('can\'t read "::env(%s)": no such variable' % unset[0], "    while executing")
    project = re.search(r"set config_proj_name (\S+)", text)
    if project and TOOL in ("vitis_hls", "vitis-run"):
        solution = project[1] + "/sol1/impl"
        write(solution + "/ip/component.xml", "<!-- %s -->" % NOTE)
        write(solution + "/verilog/top.v", '// %s$readmemh("./weights.dat", memory);\n' % NOTE)
    if TOOL != "vivado":
        return
    project = re.search(r"create_project (\S+) (/\S+)", text)
    design = re.search(r'create_bd_design "(\w+)"', text)
    if project and design:
        wrapper = "%s/%s.srcs/sources_1/bd/%s/hdl/%s_wrapper.v" % (project[2], project[1], design[1], design[1])
        write(wrapper, "// " + NOTE)
        write("%s/%s.xpr" % (project[2], project[1]), "<!-- %s -->" % NOTE)
        write(project[2] + "/ip/component.xml", "<!-- %s -->" % NOTE)
        write(project[2] + "/all_verilog_srcs.txt", wrapper + "\n")
    for report in re.findall(r'report_\w+ -file "([^"]+)"', text):
        write(report, TABLE)
    for report in re.findall(r'set fp \[open "([^"]+)" w\]', text):
        write(report, "clk_period_ns=20.0\nvivado_version=" + VERSION.split()[1] + "\n")
    if "finn_zynq_link" in text:
        write("finn_zynq_link.runs/impl_1/top_wrapper.bit", NOTE)
        write("finn_zynq_link.runs/impl_1/top_wrapper_timing_summary_routed.rpt", TABLE)
        write("finn_zynq_link.srcs/sources_1/bd/top/hw_handoff/top.hwh", NOTE)
        write("synth_report.xml", "<report/>")

for script in [word for word in sys.argv[1:] if word.endswith(".tcl")]:
    if not os.path.exists(script):
        fail("couldn't read file \"" + script + "\": no such file or directory", "    while executing")
    with open(script) as file:
        obey(file.read())
if BEHAVIOUR == "fails_late":
    fail("ERROR: [Common 17-69] Command failed: IP packaging failed",
         "ERROR: [IP_Flow 19-3458] Validation failed: no port map for interface 's_axis_0'.")
say("INFO: [Common 17-206] Exiting " + TOOL)
'''


def install(
    folder: Path,
    tool: str,
    *behaviours: str,
    version: str = "2022.2",
    files: Mapping[str, str] | None = None,
) -> Path:
    """Write the stand-in of `tool` into `folder` (put that on PATH) and give its path; again to change its behaviour.

    With several behaviours, each call takes the next one; the last stays (the default: `works`). `files` are left
    behind when it works: paths, relative to where it is called, to text.
    """
    for behaviour in behaviours:
        if behaviour not in BEHAVIOURS:
            raise ValueError(f"{behaviour!r} is not one of {', '.join(BEHAVIOURS)}")
    folder.mkdir(parents=True, exist_ok=True)
    said = VERSIONS.get(tool, f"{tool} {{version}}").format(version=version)
    settings = (tool, behaviours or ("works",), said, dict(files or {}), str(folder.absolute()))
    (folder / f".{tool}.turn").unlink(missing_ok=True)
    program = _PROGRAM.replace("{python}", sys.executable).replace("{tool}", tool)
    path = folder / tool
    path.write_text(program.replace("{settings!r}", repr(settings)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def calls(folder: Path, tool: str | None = None, *, versions: bool = False) -> list[dict[str, Any]]:
    """How the stand-ins in `folder` were called, in order: `tool`, `argv`, `cwd`, `env`, `pid`.

    Questions for the version only with `versions`.
    """
    record = folder / "calls.jsonl"
    notes = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    return [note for note in notes if tool in (None, note["tool"]) and (versions or not note["version"])]


def xilinx(folder: Path, behaviour: str = "works", version: str = "2022.2") -> dict[str, str]:
    """A whole stand-in installation (Vivado, Vitis HLS, v++, XRT, FINN's library); gives the environment to use it."""
    tools = folder / "bin"
    for tool in ("vivado", "vitis_hls", "vitis-run", "v++", "xelab", "xbutil"):
        install(tools, tool, behaviour, version=version)
    environ = {"PATH": str(tools), "FINN_DEPS": str(folder / "deps"), "HOME": str(folder / "home")}
    for variable, name in (("XILINX_VIVADO", "Vivado"), ("XILINX_HLS", "Vitis_HLS"), ("XILINX_VITIS", "Vitis")):
        root = folder / name / version
        (root / "include").mkdir(parents=True, exist_ok=True)
        (root / "include" / "ap_int.h").touch()
        environ[variable] = str(root)
    for name in ("home", "deps/finn-hlslib"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return environ
