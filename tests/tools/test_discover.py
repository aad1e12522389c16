"""Finding tools and versions. The tools here are stand-ins, not the real ones (see standins.py)."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from finnyaml.tools import environment, registry
from finnyaml.tools.discover import Found, Missing, find, missing, tool_state
from tests.tools import standins
from tests.waiting import wait_until


def environ(folder: Path, **more: str) -> dict[str, str]:
    return {"PATH": str(folder), **more}


def alive_in_group(group: int) -> list[str]:
    """The processes of a process group that are more than zombies."""
    alive = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of_group) == group and state not in "ZX":
                alive.append(stat.parent.name)
    return alive


@pytest.mark.parametrize("tool", ["vivado", "vitis", "g++", "xrt", "verilator"])
def test_a_tool_on_path_is_found_with_its_version(tmp_path: Path, tool: str) -> None:
    command = registry.TOOLS[tool].commands[0][0]
    path = standins.install(tmp_path, command, version="2023.1")
    assert find(tool, environ(tmp_path)) == Found(tool, str(path), "2023.1")


def test_a_missing_tool_says_why_and_what_to_do(tmp_path: Path) -> None:
    found = find("vivado", environ(tmp_path))
    assert isinstance(found, Missing)
    assert found.reason == "vivado is not on PATH"
    assert "settings64.sh" in found.hint


def test_a_tool_is_found_below_the_installation_that_its_variable_names(tmp_path: Path) -> None:
    root = tmp_path / "Vivado" / "2022.2"
    path = standins.install(root / "bin", "vivado")
    here = environ(tmp_path / "nothing", XILINX_VIVADO=str(root))
    assert find("vivado", here) == Found("vivado", str(path), "2022.2")
    path.unlink()
    found = find("vivado", here)
    assert isinstance(found, Missing)
    assert f"nor below XILINX_VIVADO={root}" in found.reason


def test_a_dispatch_folder_of_finn_replaces_path(tmp_path: Path) -> None:
    standins.install(tmp_path / "path", "vivado")
    path = standins.install(tmp_path / "shims", "vivado", version="2024.1")
    here = environ(tmp_path / "path", FINN_TOOL_DIR_OVERRIDE=str(tmp_path / "shims"))
    assert find("vivado", here) == Found("vivado", str(path), "2024.1")
    path.unlink()
    found = find("vivado", here)
    assert isinstance(found, Missing)
    assert "FINN_TOOL_DIR_OVERRIDE" in found.reason


@pytest.mark.parametrize(
    ("version", "command"), [("2022.2", "vitis_hls"), ("2024.2", "vitis_hls"), ("2025.1", "vitis-run")]
)
def test_hls_is_the_command_that_finn_would_call(tmp_path: Path, version: str, command: str) -> None:
    here = standins.xilinx(tmp_path, version=version)
    found = find("vitis_hls", here)
    assert isinstance(found, Found)
    assert Path(found.path).name == command
    (tmp_path / "bin" / command).unlink()
    assert isinstance(find("vitis_hls", here), Missing)


def test_a_tool_that_hangs_is_found_without_version_and_its_children_are_ended(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado", "version_hangs")
    (tmp_path / "sleep").symlink_to("/bin/sleep")
    found = find("vivado", environ(tmp_path), timeout=2.0)
    assert isinstance(found, Found)
    assert found.version is None
    assert found.note == "version unknown: no answer to -version within 2 s"
    group = standins.calls(tmp_path, versions=True)[0]["pid"]
    wait_until(lambda: not alive_in_group(group))


@pytest.mark.parametrize(
    ("behaviour", "note"),
    [
        ("version_crashes", "ended by signal 11 (SIGSEGV)"),
        ("version_fails", "ended with code 1 and said: /opt/none/loader"),
        ("no_version", "ended with code 0 and said: hello"),
    ],
)
def test_a_tool_that_cannot_tell_its_version_is_found(tmp_path: Path, behaviour: str, note: str) -> None:
    standins.install(tmp_path, "vivado", behaviour)
    found = find("vivado", environ(tmp_path))
    assert isinstance(found, Found)
    assert found.version is None
    assert note in (found.note or "")


def test_a_file_that_cannot_be_executed_is_found_without_version(tmp_path: Path) -> None:
    broken = tmp_path / "vivado"
    broken.write_text("#!/nowhere/at/all\n")
    broken.chmod(0o755)
    found = find("vivado", environ(tmp_path))
    assert isinstance(found, Found)
    assert "cannot be run" in (found.note or "")


def test_the_version_is_asked_once_until_the_tool_changes(tmp_path: Path) -> None:
    kept: dict[str, object] = {}
    memo = SimpleNamespace(memo=kept.get, put_memo=kept.__setitem__)
    standins.install(tmp_path, "vivado")
    for _ in range(3):
        assert find("vivado", environ(tmp_path), memo) == Found("vivado", str(tmp_path / "vivado"), "2022.2")
    assert len(standins.calls(tmp_path, versions=True)) == 1
    assert json.loads(json.dumps(kept)) == kept  # it may be kept in a file
    os.utime(standins.install(tmp_path, "vivado", version="2023.2"), ns=(1, 1))
    found = find("vivado", environ(tmp_path), memo)
    assert isinstance(found, Found)
    assert found.version == "2023.2"


def test_versions_are_asked_without_shell_and_where_a_tool_may_leave_its_logs(tmp_path: Path) -> None:
    standins.install(tmp_path / "a b; exit", "vivado")
    assert isinstance(find("vivado", environ(tmp_path / "a b; exit")), Found)
    (call,) = standins.calls(tmp_path / "a b; exit", versions=True)
    assert call["argv"] == ["-version"]
    assert not Path(call["cwd"]).exists()


def test_a_name_that_is_not_registered_is_a_command(tmp_path: Path) -> None:
    standins.install(tmp_path, "ghdl", version="4.1.0")
    assert find("ghdl", environ(tmp_path)) == Found("ghdl", str(tmp_path / "ghdl"), "4.1.0")
    assert isinstance(find("nvc", environ(tmp_path)), Missing)


def test_tool_state_is_what_a_trace_records(tmp_path: Path) -> None:
    standins.install(tmp_path, "vivado", version="2022.2")
    standins.install(tmp_path, "g++", "no_version")
    names = ["vivado", "g++", "v++", "vivado", "xilinx_licence"]
    assert tool_state(names, environ(tmp_path)) == {"vivado": "2022.2", "g++": "unknown", "v++": None}


def test_missing_names_what_blocks_and_never_a_licence(tmp_path: Path) -> None:
    here = environ(tmp_path, HOME=str(tmp_path))
    assert [item.name for item in missing(["vivado", "xilinx_licence", "g++"], here)] == ["vivado", "g++"]


def test_the_environment_that_finn_derives_from_xilinx_vivado(tmp_path: Path) -> None:
    def look(**environ: str) -> Found | Missing:
        return find("xilinx_env", environ)

    assert look() == Missing("xilinx_env", "XILINX_VIVADO is not set", registry.TOOLS["xilinx_env"].hint)
    assert isinstance(look(XILINX_VIVADO=str(tmp_path / "2022.2")), Missing)
    found = look(XILINX_VIVADO=str(tmp_path))
    assert isinstance(found, Missing)
    assert "holds no version" in found.reason
    root = tmp_path / "Vivado" / "2022.2"
    root.mkdir(parents=True)
    assert look(XILINX_VIVADO=str(root)) == Found("xilinx_env", str(root), "2022.2")


def test_hls_headers_and_the_library_of_finn(tmp_path: Path) -> None:
    here = standins.xilinx(tmp_path)
    assert isinstance(find("hls_headers", here), Found)
    assert isinstance(find("hls_headers", here | {"XILINX_HLS": str(tmp_path)}), Missing)
    library = tmp_path / "deps" / "finn-hlslib"
    assert find("finn_hlslib", here) == Found("finn_hlslib", str(library))
    (library / ".git" / "refs").mkdir(parents=True)
    (library / ".git" / "HEAD").write_text("8d979e2\n")
    assert find("finn_hlslib", here) == Found("finn_hlslib", str(library), "8d979e2")
    (library / ".git" / "HEAD").write_text("ref: refs/main\n")
    (library / ".git" / "refs" / "main").write_text("afc9720\n")
    assert find("finn_hlslib", here) == Found("finn_hlslib", str(library), "afc9720")
    assert isinstance(find("finn_hlslib", here | {"FINN_DEPS": str(tmp_path)}), Missing)
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"finn_deps: {library.parent}\n")
    assert isinstance(find("finn_hlslib", {"FINN_SETTINGS": str(settings)}), Found)


def test_licences(tmp_path: Path) -> None:
    def look(**variables: str) -> Found | Missing:
        return find("xilinx_licence", {"HOME": str(tmp_path), **variables})

    gone, here = tmp_path / "gone.lic", tmp_path / "here.lic"
    here.touch()
    assert isinstance(look(), Missing)
    found = look(XILINXD_LICENSE_FILE=str(gone))
    assert isinstance(found, Missing)
    assert str(gone) in found.reason
    assert look(XILINXD_LICENSE_FILE=f"{gone}:{here}") == Found(
        "xilinx_licence", str(here), note="from XILINXD_LICENSE_FILE"
    )
    server = look(LM_LICENSE_FILE="2100@licences.example")
    assert isinstance(server, Found)
    assert "not asked" in (server.note or "")
    (tmp_path / ".Xilinx").mkdir()
    (tmp_path / ".Xilinx" / "Xilinx.lic").touch()
    assert isinstance(look(), Found)


def test_workers_get_the_environment_that_finn_build_arranges(tmp_path: Path) -> None:
    assert environment.for_workers({"PATH": "/bin", "PLATFORM_REPO_PATHS": "/p"}) == {}
    here = standins.xilinx(tmp_path) | {"PLATFORM_REPO_PATHS": "/p", "LD_LIBRARY_PATH": "/mine"}
    vivado = Path(here["XILINX_VIVADO"])
    (vivado / "bin").mkdir()
    changes = environment.for_workers(here)
    assert changes["PATH"].split(":") == [here["PATH"], str(vivado / "bin")]
    assert changes["LD_LIBRARY_PATH"].split(":")[1:] == [
        f"{vivado}/lib/lnx64.o",
        f"{here['XILINX_HLS']}/lnx64/tools/fpo_v7_1",
        "/mine",
    ]
    assert changes["XILINX_LOCAL_USER_DATA"] == "no"
    again = environment.for_workers(here | changes)
    assert again == {"XILINX_LOCAL_USER_DATA": "no"}


def test_importing_the_tools_room_is_quick_and_brings_no_finn() -> None:
    code = (
        "import sys; from finnyaml.tools import discover, needs, failure, doctor; "
        "print(sorted({'finn', 'torch', 'onnx', 'networkx', 'numpy', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
