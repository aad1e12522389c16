"""Conditions that FINN needs and that are not programs: variables, headers, sources, licences."""

from __future__ import annotations

import contextlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from finnyaml.tools.registry import Tool, vivado_version


@dataclass(frozen=True)
class Found:
    """A tool that is here. `version` is None where it cannot be told; then `note` says why."""

    name: str
    path: str
    version: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Missing:
    """A tool that is not here: why we think so, and what to do."""

    name: str
    reason: str
    hint: str


Probe = Callable[[Tool, Mapping[str, str]], Found | Missing]


def _xilinx_env(tool: Tool, environ: Mapping[str, str]) -> Found | Missing:
    root = environ.get("XILINX_VIVADO")
    if not root:
        return Missing(tool.name, "XILINX_VIVADO is not set", tool.hint)
    if not Path(root).is_dir():
        return Missing(tool.name, f"XILINX_VIVADO names {root}, which is not a folder", tool.hint)
    version = vivado_version(environ)
    if version is None:
        return Missing(tool.name, f"XILINX_VIVADO={root} holds no version such as 2022.2", tool.hint)
    return Found(tool.name, root, f"{version[0]}.{version[1]}")


def _hls_headers(tool: Tool, environ: Mapping[str, str]) -> Found | Missing:
    root = environ.get("XILINX_HLS")
    if not root:
        return Missing(tool.name, "XILINX_HLS is not set", tool.hint)
    header = Path(root) / "include" / "ap_int.h"
    if not header.is_file():
        return Missing(tool.name, f"{header} does not exist (XILINX_HLS={root})", tool.hint)
    match = re.search(r"\b20\d{2}\.\d\b", root)
    return Found(tool.name, str(header), match[0] if match else None)


def _finn_hlslib(tool: Tool, environ: Mapping[str, str]) -> Found | Missing:
    folder = dependencies(environ)
    if folder is None:
        return Missing(tool.name, "FINN is not installed, and FINN_DEPS is not set", tool.hint)
    library = folder / "finn-hlslib"
    if not library.is_dir():
        return Missing(tool.name, f"{library} does not exist", tool.hint)
    return Found(tool.name, str(library), _commit(library))


def dependencies(environ: Mapping[str, str]) -> Path | None:
    """The folder in which FINN keeps what it downloads; it need not exist."""
    folders = list(_dependency_folders(environ))
    return next((folder for folder in folders if folder.is_dir()), folders[0] if folders else None)


def _dependency_folders(environ: Mapping[str, str]) -> Iterator[Path]:
    """Where it may be: finn-plus goes by FINN_DEPS, its settings or its root, FINN by FINN_ROOT."""
    if environ.get("FINN_DEPS"):
        yield Path(environ["FINN_DEPS"]).expanduser()
        return
    settings = environ.get("FINN_SETTINGS") or _home(environ) / ".finn" / "settings.yaml"
    with contextlib.suppress(OSError):
        if match := re.search(r"^finn_deps:\s*['\"]?(/[^'\"\n]+)", Path(settings).read_text(), re.MULTILINE):
            yield Path(match[1].strip())
            return
    if environ.get("FINN_ROOT"):
        yield Path(environ["FINN_ROOT"]) / "deps"
    spec = importlib.util.find_spec("finn")
    for location in (spec.submodule_search_locations or []) if spec else []:
        package = Path(location).resolve()
        checkout = package.parent.name == "src"  # installed to be edited
        yield (package.parents[1] if checkout else package) / "finn_deps"


def _commit(folder: Path) -> str | None:
    """The commit of a git checkout: of this library, the only version there is."""
    with contextlib.suppress(OSError):
        head = (folder / ".git" / "HEAD").read_text().strip()
        return (folder / ".git" / head[5:]).read_text().strip() if head.startswith("ref: ") else head
    return None


def _xilinx_licence(tool: Tool, environ: Mapping[str, str]) -> Found | Missing:
    stale = []
    for variable in ("XILINXD_LICENSE_FILE", "LM_LICENSE_FILE"):
        for entry in filter(None, re.split(r"[:;]", environ.get(variable, ""))):
            if re.fullmatch(r"\d*@[^/]+", entry):
                return Found(tool.name, entry, note=f"licence server of {variable}, not asked")
            if _has_licence(Path(entry)):
                return Found(tool.name, entry, note=f"from {variable}")
            stale.append(f"{variable} names {entry}, where there is no licence file")
    home = _home(environ) / ".Xilinx"
    if _has_licence(home):
        return Found(tool.name, str(home), note="licence files in the home folder")
    none = "XILINXD_LICENSE_FILE and LM_LICENSE_FILE are not set, and ~/.Xilinx holds no *.lic"
    return Missing(tool.name, "; ".join(stale) or none, tool.hint)


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def _has_licence(path: Path) -> bool:
    return path.is_file() or (path.is_dir() and any(path.glob("*.lic")))


PROBES: Mapping[str, Probe] = {
    "xilinx_env": _xilinx_env,
    "hls_headers": _hls_headers,
    "finn_hlslib": _finn_hlslib,
    "xilinx_licence": _xilinx_licence,
}
