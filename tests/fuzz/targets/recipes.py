"""Recipes, as far as they are looked at before anything is built: read, checked, planned, told of."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from random import Random

from finnyaml.errors import RecipeError
from finnyaml.finn.catalog import Catalog
from finnyaml.kinds.code import no_code
from finnyaml.plan import graph
from finnyaml.plan.vocabulary import vocabulary
from finnyaml.recipe.load import draft_recipe, refusal
from finnyaml.recipe.snippet import render_problems
from tests.fuzz.mutation import edited
from tests.fuzz.watch import watched
from tests.plan.catalog import CATALOG

ROOT = Path(__file__).resolve().parents[3]

WORDS = (
    *b"null true [] {} -1 0 1e999 .nan 0x10 1_000 ' \" | >-".split(),
    *(b"- ", b"&a ", b"*a", b"<<: *a", b"!!python/object/apply:os.system [id]", b"!!binary aGk="),
    *(b"? ", b"---", b"%YAML 9"),
    *b"${vars.x} ${env.HOME} ${ $${x} .. ../.. / /etc/passwd ~ a/../../b C:\\x".split(),
    *b"/dev/zero /dev/stdin /proc/self/mem /proc/self/environ . recipe.yaml data.py:load".split(),
    *b"extends: vars: env: steps: verify: bundle: targets: finn: output: lint:".split(),
    *("é".encode(), "\u202e".encode(), "\U0001f600".encode(), b"\xff\xfe", b"\x1b[31m", b"\0", b"\t", b"\r\n"),
    *(b"x" * 5000, b"[" * 200, b"{a: " * 100, b"  " * 300, b"9" * 400),
    *b"os:system subprocess:run __import__('os')".split(),
)


class Recipes:
    """The example recipes, and the one page that shows every key; `catalog` has the names of FINN's that they use."""

    def __init__(self, folder: Path, catalog: Catalog = CATALOG) -> None:
        self._folder = folder / "recipes"
        shutil.copytree(ROOT / "recipes", self._folder, ignore=shutil.ignore_patterns("build*", "__pycache__"))
        self._known, self._catalog = vocabulary(), catalog
        page = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/recipe.md").read_text(), re.DOTALL)
        self.seeds = {path.parent.name: [_code(path.read_text())] for path in self._folder.glob("*/recipe.yaml")}
        self.seeds["digits-cnv"] += map(_code, page)
        for kind, texts in self.seeds.items():  # what is imported late is imported now
            for text in texts:
                self._look(self._place(kind, text))

    def mutated(self, kind: str, seed: bytes, chance: Random) -> bytes:
        return edited(seed, chance, WORDS)

    def check(self, kind: str, data: bytes) -> bool:
        """Whether the recipe is accepted. A refusal is a `RecipeError` that can be shown; anything else is a fault."""
        path = self._place(kind, data)
        with watched(str(self._folder)):
            return self._look(path)

    def _place(self, kind: str, data: bytes) -> Path:
        path = self._folder / kind / "mutated.yaml"
        path.write_bytes(data)
        return path

    def _look(self, path: Path) -> bool:
        try:
            draft = draft_recipe(path, (), {}, self._known)
            if not draft.sound:
                raise refusal([draft], graph.wrong_names(draft.recipe, self._catalog, vivado=False))
            graph.build(draft.recipe, self._catalog, no_code, vivado=False)
        except RecipeError as error:
            render_problems(error.problems)
            return False
        return True


def _code(text: str) -> bytes:
    """A recipe without its comments: damage to them finds nothing."""
    return re.sub(r"(?m)^\s*#.*\n|\s+#\s.*$", "", text).encode()
