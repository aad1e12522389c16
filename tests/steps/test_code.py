"""The user's code: imported afresh, forgotten afterwards, and told of clearly when it is wrong."""

import sys
from pathlib import Path

import pytest

from finnyaml.errors import StepFailed
from finnyaml.recipe.model import CodeRef
from finnyaml.steps.code import forget_user_modules, load_function


@pytest.fixture(autouse=True)
def forget():
    forget_user_modules()  # other tests of this process may have loaded code of a user, too
    yield
    forget_user_modules()


def ref(file: Path, function: str = "run") -> CodeRef:
    return CodeRef(f"{file.name}:{function}", function, file=file)


def load(file: Path, function: str = "run"):
    return load_function(ref(file, function), file.parent)


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_a_file_imports_its_siblings_and_all_are_reported_as_read(tmp_path):
    helper = write(tmp_path / "helper.py", "VALUE = 3")
    module = write(tmp_path / "step.py", "import json\nfrom helper import VALUE\ndef run(): return VALUE")
    assert load(module)() == 3
    assert forget_user_modules() == sorted([helper.resolve(), module.resolve()])


def test_an_import_inside_the_function_works_and_is_reported(tmp_path):
    late = write(tmp_path / "late.py", "VALUE = 4")
    module = write(tmp_path / "step.py", "def run():\n    from late import VALUE\n    return VALUE")
    assert load(module)() == 4
    assert late.resolve() in forget_user_modules()


def test_an_edit_of_equal_length_within_the_second_is_seen(tmp_path):
    module = write(tmp_path / "step.py", "from helper import VALUE\ndef run(): return VALUE")
    for value in range(5):
        write(tmp_path / "helper.py", f"VALUE = {value}")
        assert load(module)() == value
        forget_user_modules()


def test_siblings_of_one_name_in_two_folders_stay_apart(tmp_path):
    modules = []
    for name in ("one", "two"):
        write(tmp_path / name / "data.py", f"NAME = '{name}'")
        modules.append(write(tmp_path / name / "step.py", "from data import NAME\ndef run(): return NAME"))
    assert [load(module)() for module in modules] == ["one", "two"]
    assert len(forget_user_modules()) == 4


def test_forgetting_restores_the_interpreter(tmp_path):
    module = write(tmp_path / "step.py", "import helper\ndef run(): pass")
    write(tmp_path / "helper.py", "")
    path, modules, bytecode = list(sys.path), set(sys.modules), sys.dont_write_bytecode
    load(module)
    forget_user_modules()
    assert (sys.path, set(sys.modules), sys.dont_write_bytecode) == (path, modules, bytecode)
    assert not (tmp_path / "__pycache__").exists()
    assert forget_user_modules() == []


def test_a_file_called_like_an_imported_module_does_not_replace_it(tmp_path):
    load(write(tmp_path / "pathlib.py", "def run(): pass"))
    assert sys.modules["pathlib"].Path is Path


def test_a_package_beside_the_recipe(tmp_path):
    write(tmp_path / "mine" / "inner" / "steps.py", "def run(): return 5")
    reference = CodeRef("mine.inner.steps:run", "run", module="mine.inner.steps")
    assert load_function(reference, tmp_path)() == 5
    assert [file.name for file in forget_user_modules()] == ["steps.py"]
    assert "mine" not in sys.modules


RELATIVE = "from .helper import VALUE\nfrom ..common import OTHER"


@pytest.mark.parametrize(
    ("inits", "text"),
    [((), RELATIVE), (("proj", "proj/lib"), RELATIVE), (("proj", "proj/lib"), "from proj.common import *")],
    ids=["folders", "packages", "absolute"],
)
def test_a_file_of_a_package_imports_as_in_its_package(tmp_path, inits, text):
    for folder in inits:
        write(tmp_path / folder / "__init__.py", "")
    write(tmp_path / "proj/lib/helper.py", "VALUE = 3")
    write(tmp_path / "proj/common.py", "OTHER = 4\nVALUE = 3")
    module = write(tmp_path / "proj/lib/steps.py", f"{text}\ndef run(): return VALUE + OTHER")
    path = list(sys.path)
    assert load(module)() == 7
    read = {str(file.relative_to(tmp_path)) for file in forget_user_modules()}
    assert {"proj/lib/steps.py", "proj/common.py"} <= read
    assert sys.path == path
    assert not [name for name in sys.modules if name.startswith("proj")]


def test_an_installed_package_is_reported_whole_and_stays_imported(tmp_path):
    import yaml

    assert load_function(CodeRef("yaml:safe_load", "safe_load", module="yaml"), tmp_path) is yaml.safe_load
    read = forget_user_modules()
    assert {"__init__.py", "loader.py"} <= {file.name for file in read}
    assert {file.parent.name for file in read if file.suffix == ".py"} == {"yaml"}
    assert sys.modules["yaml"] is yaml


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import no_such_thing", ["step.py:1", "ModuleNotFoundError", "no_such_thing"]),
        ("x = 1\ndef run(:", ["step.py:2", "SyntaxError"]),
        ("def f():\n    return {}['gone']\nf()", ["step.py:2", "KeyError", "gone"]),
        ("import sys\nsys.exit(3)", ["step.py:2", "SystemExit"]),
    ],
)
def test_an_import_that_fails_names_the_users_line(tmp_path, source, words):
    module = write(tmp_path / "step.py", source)
    with pytest.raises(StepFailed) as caught:
        load(module)
    assert all(word in caught.value.message for word in ["cannot be imported", *words])


def test_the_fault_of_a_sibling_is_placed_in_the_sibling(tmp_path):
    write(tmp_path / "helper.py", "\n\nint('x')")
    with pytest.raises(StepFailed, match=r"helper\.py:3: ValueError"):
        load(write(tmp_path / "step.py", "import helper"))


def test_what_is_not_there_is_told_with_the_nearest_name(tmp_path):
    module = write(tmp_path / "step.py", "def streamline(): pass\nLIMIT = 3")
    with pytest.raises(StepFailed, match="no 'steamline'") as caught:
        load(module, "steamline")
    assert caught.value.hint == "did you mean 'streamline'?"
    with pytest.raises(StepFailed, match="'LIMIT' is of type int, not a function"):
        load(module, "LIMIT")
    with pytest.raises(StepFailed, match="there is no file") as caught:
        load(tmp_path / "stepp.py")
    assert caught.value.hint == "did you mean 'step.py'?"
    with pytest.raises(StepFailed, match="no module 'no_such_package'"):
        load_function(CodeRef("no_such_package.x:f", "f", module="no_such_package.x"), tmp_path)
