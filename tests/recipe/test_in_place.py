"""Anything may lie where a file of the recipe's should be: never a hang, and the message says what lies there."""

from __future__ import annotations

from pathlib import Path

import pytest

from finnyaml.errors import RecipeError
from finnyaml.files import discard
from finnyaml.finn import settings
from finnyaml.recipe.load import draft_recipe
from finnyaml.recipe.starter import examine
from tests.plan.catalog import CATALOG
from tests.recipe.folder import Folder
from tests.things import THINGS

FILES = {
    "recipe.yaml": "",
    "base.yaml": "extends: base.yaml\n",
    "model.onnx": "",
    "weights.pth": "model: {brevitas: 'model.py:digits_cnv', weights: weights.pth, input: {shape: [1, 4]}}\n",
    "model.py": "model: {brevitas: 'model.py:digits_cnv', input: {shape: [1, 4]}}\n",
    "custom.py": "steps: ['custom.py:tweak']\n",
    "folding.json": "folding: {file: folding.json}\n",
    "test.npz": "verify: {data: {npz: test.npz, inputs: x, labels: y}}\n",
    "y.npy": "verify: {data: {inputs: x.npy, labels: y.npy}}\n",
    "data.py": "verify: {data: {python: 'data.py:load'}}\n",
    "templates/a.txt.j2": "bundle: {templates: templates, files: [a.txt.j2]}\n",
}
"""A file, and a recipe that names it."""

IS = {
    "a folder": "a folder",
    "a FIFO": "a FIFO",
    "a socket": "a socket",
    "a link to a device": "a device",
    "a dangling link": "a link that leads nowhere",
    "a link to itself": "a link that leads nowhere",
}
"""A thing, and what messages call it."""


@pytest.mark.parametrize("thing", IS)
@pytest.mark.parametrize("name", FILES)
def test_in_the_place_of(folder: Folder, name: str, thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = FILES[name]
    path = folder.write("recipe.yaml", text + "".join(line for line in _MINIMAL if line[:5] not in text))
    folder.write("base.yaml", "name: base\n")
    folder.write("folding.json", "{}")
    folder.write("templates/a.txt.j2", "")
    draft = draft_recipe(path)
    assert draft.sound, draft.problems
    discard(folder.path / name)
    THINGS[thing](folder.path / name, folder.path / "nothing", monkeypatch)
    try:
        draft = draft_recipe(path)
        told = [*draft.problems, *settings.resolve(draft.recipe, CATALOG)[1]]
    except RecipeError as error:
        told = list(error.problems)
    what = IS[thing].removeprefix("a ")
    assert any(what in problem.message and Path(name).name in problem.message for problem in told), told
    assert not any(f"did you mean '{Path(name).name}'" in (problem.hint or "") for problem in told), told


_MINIMAL = ("model: {onnx: model.onnx}\n", "steps: [tidy_up]\n")


@pytest.mark.parametrize("thing", IS)
def test_of_a_model_to_start_from(folder: Folder, thing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    discard(folder.path / "model.onnx")
    THINGS[thing](folder.path / "model.onnx", folder.path / "nothing", monkeypatch)
    with pytest.raises(RecipeError, match=f"model.onnx is {IS[thing]}, not a file"):
        examine(str(folder.path / "model.onnx"), folder.path, None)


def test_data_that_is_looked_for_beside_a_model(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.path / "x.npy").unlink()
    for name in ("other.npz", "x.npy"):
        THINGS["a FIFO"](folder.path / name, folder.path, monkeypatch)
    assert examine(str(folder.path / "model.py"), folder.path, "1,4").data is not None
