"""Recipes in a temporary folder, with a mark where an error is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from finnyaml.errors import Problem, RecipeError
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import load_recipe
from finnyaml.recipe.model import Recipe

MARK = "▶"
"""Stands in a recipe before the character that the error must point to."""

MINIMAL = "model: {onnx: model.onnx}\nsteps: estimate_only\n"


@dataclass(frozen=True)
class Folder:
    """A folder with a recipe and the files that it names."""

    path: Path

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def load(
        self, text: str, sets: Sequence[str] = (), environ: dict[str, str] | None = None
    ) -> tuple[Recipe, tuple[Problem, ...]]:
        return load_recipe(self.write("recipe.yaml", text), sets, environ or {}, vocabulary())

    def recipe(self, text: str, sets: Sequence[str] = (), environ: dict[str, str] | None = None) -> Recipe:
        return self.load(text, sets, environ)[0]

    def problems(
        self, text: str, sets: Sequence[str] = (), environ: dict[str, str] | None = None
    ) -> tuple[Problem, ...]:
        """The problems of a recipe that must be refused."""
        with pytest.raises(RecipeError) as refused:
            self.load(text, sets, environ)
        return refused.value.problems

    def refuses(self, marked: str, *words: str, only: bool = True) -> Problem:
        """Assert that the recipe gets one error, at the mark, with all `words` in its message and hint."""
        before, _, after = marked.partition(MARK)
        lines = before.split("\n")
        problems = self.problems(before + after)
        place = (len(lines), len(lines[-1]) + 1)
        here = [item for item in problems if item.where and (item.where.line, item.where.column) == place]
        assert here, f"expected an error at {place}, got {[(str(item.where), item.message) for item in problems]}"
        text = f"{here[0].message} | {here[0].hint}"
        for word in words:
            assert word in text, f"{word!r} not in {text!r}"
        if only:
            assert len(problems) == 1, [item.message for item in problems]
        return here[0]
