"""The environment in which steps and their tools run, as `finn build` arranges it (finnyaml does without that)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

ROOTS = ("XILINX_VIVADO", "XILINX_VITIS", "XILINX_HLS")
BASH_ENV = Path(__file__).with_name("bash_env.sh")
"""Makes FINN's scripts fail when Vivado fails in them."""


def of_worker(sandbox: Path) -> dict[str, str]:
    """The whole environment of a worker process that runs steps in `sandbox`."""
    environ = os.environ
    mine = {
        "FINN_BUILD_DIR": str(sandbox / "build"),
        "TMPDIR": str(sandbox / "tmp"),
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
    }
    if "NUM_DEFAULT_WORKERS" not in environ:  # how many layers FINN gives to Vitis HLS at a time; as `finn build` does
        mine["NUM_DEFAULT_WORKERS"] = str(max(1, (os.cpu_count() or 1) * 3 // 4))
    if environ.get("BASH_ENV") != str(BASH_ENV):
        mine |= {"BASH_ENV": str(BASH_ENV), "FINNYAML_BASH_ENV": environ.get("BASH_ENV", "")}
    return {**environ, **for_workers(environ), **mine}


def bin_folders(root: str, environ: Mapping[str, str]) -> list[Path]:
    """The folders with the commands of the installation that environment variable `root` names.

    From 2024.2 on XILINX_HLS names `Vitis/`, while `vitis_hls` still lives in `Vitis_HLS/`.
    """
    value = environ.get(root)
    if not value:
        return []
    folders = [Path(value) / "bin"]
    if root == "XILINX_HLS" and "Vitis_HLS" not in value:
        folders.append(Path(value.replace("Vitis", "Vitis_HLS")) / "bin")
    return folders


def for_workers(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables to set or change before a worker starts (the dynamic loader reads its path only then).

    Nothing where no Xilinx tools are installed.
    """
    changes: dict[str, str] = {}
    path = environ.get("PATH", "").split(os.pathsep)
    found = [str(folder) for root in ROOTS for folder in bin_folders(root, environ) if folder.is_dir()]
    if added := [folder for folder in found if folder not in path]:
        changes["PATH"] = os.pathsep.join([*path, *dict.fromkeys(added)])
    vivado, hls = environ.get("XILINX_VIVADO"), environ.get("XILINX_HLS")
    if vivado:
        libraries = ["/lib/x86_64-linux-gnu/", f"{vivado}/lib/lnx64.o"]
        if hls:
            libraries.append(f"{hls}/lnx64/tools/fpo_v7_1")
        current = [entry for entry in environ.get("LD_LIBRARY_PATH", "").split(os.pathsep) if entry]
        if missing := [entry for entry in libraries if entry not in current]:
            changes["LD_LIBRARY_PATH"] = os.pathsep.join([*missing, *current])
        changes["XILINX_LOCAL_USER_DATA"] = environ.get("XILINX_LOCAL_USER_DATA", "no")
    platforms = Path("/opt/xilinx/platforms")
    if "PLATFORM_REPO_PATHS" not in environ and platforms.is_dir():
        changes["PLATFORM_REPO_PATHS"] = str(platforms)
    return changes
