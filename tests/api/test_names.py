"""The public names: cheap to import, all documented, the same from `finnyaml` and from `finnyaml.api`."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib.resources import files

import pytest

import finnyaml
from finnyaml import api


def test_importing_finnyaml_imports_nothing_else() -> None:
    script = "import sys; before = {*sys.modules}; import finnyaml; print(*{*sys.modules} - before)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "finnyaml\n"


def test_what_is_heavy_stays_out_of_the_process() -> None:
    script = (
        "import sys, finnyaml; finnyaml.load; print(*({'numpy', 'onnx', 'finn', 'torch', 'typer'} & {*sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_names_are_those_of_the_api() -> None:
    assert finnyaml.__all__ == api.__all__ == sorted(api.__all__, key=lambda name: (name[0].islower(), name))
    for name in finnyaml.__all__:
        assert getattr(finnyaml, name) is getattr(api, name)
    with pytest.raises(AttributeError, match="module 'finnyaml' has no attribute 'bulid'"):
        finnyaml.bulid  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", finnyaml.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    thing = getattr(finnyaml, name)
    assert inspect.getdoc(thing)
    for member, value in vars(thing).items() if inspect.isclass(thing) else ():
        if not member.startswith("_") and (callable(value) or isinstance(value, property)):
            assert inspect.getdoc(value), f"{name}.{member}"


def test_the_package_says_that_it_is_typed() -> None:
    assert (files("finnyaml") / "py.typed").is_file()
