"""FINNs that are not the one installed here: what is said of their version, what they lack, why they do not import."""

from __future__ import annotations

import importlib
import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest
import yaml

from finnyaml.errors import StepFailed
from finnyaml.finn import aliases, door, identity, versions
from finnyaml.finn.door import FinnUnusable
from finnyaml.finn.kernels.register import register
from tests.project import ROOT


@pytest.mark.parametrize(
    ("distribution", "version", "said"),
    [
        ("finn-plus", "1.6.1", None),
        ("finn-plus", "1.5.0+local", None),
        ("finn-plus", "1.4.0", "finn-plus 1.4.0 is older than what finnyaml is tested with"),
        ("finn-plus", "1.7.0", "finn-plus 1.7.0 is newer than what finnyaml is tested with"),
        ("finn-plus", "1.10.0", "newer"),
        ("finn", "0.0.0", None),
        ("finn", "unknown version", None),
    ],
)
def test_a_version_that_is_not_tested_is_told(distribution: str, version: str, said: str | None) -> None:
    found = versions.untested(distribution, version)
    assert found is None if said is None else found is not None and said in found


def test_the_version_that_is_installed_is_tested() -> None:
    assert versions.untested(*identity.distribution_of_finn()) is None


def test_a_step_that_a_later_one_does_again_is_left_out_where_finn_does_not_have_it() -> None:
    known = ("step_tidy_up", "step_minimize_bit_width")
    assert aliases.left_out("minimize_bit_width_initial", known)
    assert aliases.left_out("step_minimize_bit_width_initial", known)
    assert not aliases.left_out("minimize_bit_width_initial", (*known, "step_minimize_bit_width_initial"))
    assert not aliases.left_out("minimize_bit_width_intial", known)


@pytest.mark.parametrize(
    ("error", "message", "hint"),
    [
        (KeyError("FINN_ROOT"), "the environment variable FINN_ROOT is not set", "export FINN_ROOT="),
        (KeyError("FINN_XSI"), "the environment variable FINN_XSI is not set", "pip install"),
        (ModuleNotFoundError("no", name="torchvision.ops"), "it needs torchvision, which is not installed", "install"),
        (ModuleNotFoundError("No module named 'finn.x'", name="finn.x"), "No module named 'finn.x'", "pip install"),
        (ImportError("it is broken"), "it is broken", "pip install"),
        (RuntimeError("no CUDA"), "RuntimeError: no CUDA", "pip install"),
    ],
)
def test_why_finn_does_not_import_is_said(
    error: Exception, message: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> Any:
        raise error

    monkeypatch.setattr(importlib, "import_module", fails)
    with pytest.raises(FinnUnusable) as found:
        door._import("finn.builder.build_dataflow_config")
    assert found.value.message == f"FINN does not import here: {message}"
    assert found.value.hint and hint in found.value.hint


def test_the_checkout_that_finn_root_should_name_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "finn-rtllib").mkdir()
    monkeypatch.setattr(identity, "package_root", lambda name: tmp_path / "src" / "finn")
    assert door._why_not(KeyError("FINN_ROOT"))[1].startswith(f"export FINN_ROOT={tmp_path},")


def test_a_finn_without_a_reshape_layer_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(door, "_import", lambda name: pytest.fail(f"{name} is imported"))
    door.register_reshape()


def test_the_opset_of_an_older_qonnx(monkeypatch: pytest.MonkeyPatch) -> None:
    from finnyaml.graph import view

    monkeypatch.setattr(view, "basic", types.SimpleNamespace(get_preferred_onnx_opset=lambda: 11))
    assert view.preferred_opset() == 11


def test_each_night_the_versions_are_built_that_are_said_to_be_tested() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/finn-versions.yml").read_text())
    nightly = workflow["jobs"]["check-finn"]["strategy"]["matrix"]["version"]
    pinned = re.search(r'"finn-plus==(.+)"', (ROOT / "pyproject.toml").read_text())
    assert pinned is not None and pinned[1] == versions.NEWEST
    assert nightly[0] == versions.OLDEST and not any(versions.untested("finn-plus", each) for each in nightly)


def test_a_finn_without_the_layers_that_ours_stand_for_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("finn.custom_op", "finn.custom_op.fpgadataflow"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setattr(sys.modules["finn.custom_op.fpgadataflow"], "rtl", None, raising=False)
    monkeypatch.setitem(sys.modules, "finn.transformation", types.ModuleType("finn.transformation"))
    monkeypatch.delitem(sys.modules, "finn.transformation.fpgadataflow", raising=False)  # another test imported it
    with pytest.raises(StepFailed, match=r"RTL layers do not go with .*: it has no finn\.transformation\.fpgadataflow"):
        register()


@pytest.mark.parametrize("domain", ["", "finn.custom_op.fpgadataflow", "qonnx.custom_op.general"])
def test_what_an_older_qonnx_has_classes_for(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from finnyaml.finn import invalid_settings

    monkeypatch.setattr(invalid_settings, "registry", types.SimpleNamespace())
    node = types.SimpleNamespace(domain=domain, op_type="MVAU" if domain else "Add")
    assert invalid_settings._is_custom(node) is bool(domain)


@pytest.mark.parametrize(("name", "old"), [("get_preferred_onnx_opset", True), ("get_preferred_qonnx_opset", False)])
def test_a_finn_of_before_is_known_by_its_qonnx(
    name: str, old: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "util").mkdir()
    (tmp_path / "util/basic.py").write_text(f"def {name}():\n    return 1\n")
    monkeypatch.setattr(identity, "package_root", lambda package: tmp_path)
    found = versions.untested("finn", "0.0.0")
    assert found is not None and "verification does not run" in found if old else found is None
    assert versions.untested("finn-plus", "1.6.1") is None
