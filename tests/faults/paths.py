"""Folders with names that are hard to handle, for the project, the store and the workspace."""

from __future__ import annotations

import json
import shutil
import unicodedata
from pathlib import Path
from random import Random

from tests.faults.sound import Sound, same, shown, told
from tests.project import Project

NAMES = (
    *("blanks in it", "  blanks around  ", "tab\tin it", "line\nbreak", "single'quote", 'double"quote', "back\\slash"),
    *("-rf", "--help", "#comment", "%s%d", "$HOME", "${vars.x}", "`id`", "$(id)", "a;b", "a&b", "a|b", "*", "?", "[a]"),
    *("{a,b}", "~", "a:b", "a,b", "@recipe", "@@finnyaml:work@@", "NUL", ".hidden", "...", "a=b", "!important"),
    *(
        unicodedata.normalize("NFC", "Größe é ﷺ"),
        unicodedata.normalize("NFD", "Größe é"),
        "数据集",
        "\U0001f600\u200d\u202e",
    ),
    "x" * 200,
)
DEEP = "/".join("deep" * 25 + str(level) for level in range(8))
"""A path of some 800 characters."""


class Paths:
    """Builds of a small project, moved into folders of all names in turn."""

    def __init__(self, sound: Sound) -> None:
        self._sound, self._folder = sound, sound.folder.with_name("named")

    def round(self, chance: Random) -> str:
        """Built, built again, edited and built: each time the right files, and only what has changed is run."""
        where, store, build = (chance.choice((*NAMES, DEEP)) for _ in range(3))
        shutil.rmtree(self._folder, ignore_errors=True)
        plain = self._sound.unbuilt()
        project = Project(self._folder / where / "project", self._folder / "stores" / store, empty=True)
        shutil.copytree(plain.folder, project.folder)
        shutil.copytree(plain.store, project.store)
        recipe = project.folder / "recipe.yaml"
        output = f"output: {json.dumps(f'./{build}'.replace('${', '$${'))}\n"
        recipe.write_text(recipe.read_text() + output)
        try:
            return self._builds(project, project.folder / build)
        except AssertionError as wrong:
            raise AssertionError(f"project {where!r}, store {store!r}, workspace {build!r}: {wrong}") from None

    def _builds(self, project: Project, workspace: Path) -> str:
        first = project.run("build", "recipe.yaml")
        error = told(first.returncode, first.stderr)
        if error:
            assert first.returncode == 2 and "recipe.yaml:" in error, error
            return f"refused with its place: {error.splitlines()[0].rpartition('error: ')[2][:60]}"
        same(shown(workspace), self._sound.files)
        again = project.run("build", "recipe.yaml")
        assert "up to date" in again.stdout, again.stdout
        recipe = project.folder / "recipe.yaml"
        recipe.write_text(recipe.read_text().replace("by: 4.0", "by: 5.0"))
        assert project.ran() == ["third"]
        recipe.write_text(recipe.read_text().replace("by: 5.0", "by: 4.0"))
        assert project.ran() == []
        same(shown(workspace), self._sound.files)
        return "right"
