"""What the pages say is so: recipes fit the schema, commands and options exist, tables match the declarations."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from jsonschema import Draft202012Validator

from finnyaml.cli.app import app
from finnyaml.lint.catalogue import RULES
from finnyaml.recipe.schema import schema, schema_path
from finnyaml.steps import builtin, open_rtl
from tests.project import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
WRITTEN = [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in PAGES]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pages of the site, in Markdown."""
    folder = tmp_path_factory.mktemp("site") / "pages"
    subprocess.run([sys.executable, ROOT / "docs/site", folder], check=True)
    return folder


def recipes(page: Path) -> Iterator[tuple[dict[str, Any], bool]]:
    """The recipes, and parts of recipes, that a page shows; and the site files, which have that title."""
    for title, text in re.findall(r"^```yaml([^\n]*)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        data = yaml.safe_load(text)
        if data:  # some blocks are only a comment
            yield data, "site.yaml" in title


@pytest.mark.parametrize("page", WRITTEN)
def test_recipes_fit_the_schema(page: Path) -> None:
    of_sites = json.loads(schema_path("site.schema.json").read_text())
    for shown, is_site in recipes(page):
        part = shown if is_site else {"extends": "other.yaml", **shown}  # then nothing has to be there
        known = of_sites if is_site else schema()
        assert not [error.message for error in Draft202012Validator(known).iter_errors(part)], shown


def commands(page: Path) -> Iterator[str]:
    """The calls of finnyaml that a page shows."""
    text = page.read_text()
    yield from re.findall(r"`finnyaml ([^`]+)`", text)
    for block in re.findall(r"^```[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield from re.findall(r"^(?:\$ )?finnyaml (.+)$", block, re.MULTILINE)


@pytest.mark.parametrize("page", WRITTEN)
def test_commands_and_options_exist(page: Path) -> None:
    for line in commands(page):
        command = typer.main.get_command(app)
        for word in re.split(r"\s+#|\s+>", line)[0].split():
            if word.startswith("-"):
                known = {option for parameter in command.params for option in parameter.opts}
                assert word.partition("=")[0] in known | {"--help", "-h"}, line
            elif hasattr(command, "commands"):
                assert word in command.commands and not command.commands[word].hidden, line
                command = command.commands[word]


def test_the_reference_has_everything(site: Path) -> None:
    keys = (site / "reference/recipe-keys.md").read_text()
    for path in (
        *schema()["properties"],
        "model.input.shape",
        "steps.insert.after",
        "verify.data.npz",
        "folding.nodes.NAME.PE",
    ):
        assert f"{{ #{path} }}" in keys
    steps = (site / "reference/steps.md").read_text()
    assert all(f"### {name} " in steps for name in (*builtin.STEPS, *open_rtl.STEPS))
    assert all(f"{rule.id}.md" in steps for rule in RULES.values() if rule.repair)
    line = (site / "reference/command-line.md").read_text()
    assert all(f"## `finnyaml {name}`" in line for name in ("build", "lint", "cache gc", "bundle attach"))


def test_the_reference_has_all_metrics(site: Path) -> None:
    from finnyaml.verify import metrics

    text = (site / "reference/metrics.md").read_text()
    for name in schema()["$defs"]["metric"]["anyOf"][0]["enum"]:
        assert re.search(rf"`[^`]*\b{name}\b", text)
    kinds = [
        kind for name, kind in vars(metrics).items() if isinstance(kind, type) and issubclass(kind, metrics.Metric)
    ]
    public = [kind for kind in kinds if not kind.__name__.startswith("_") and kind is not metrics.Metric]
    assert text.count("\n| `") == len(public)


def test_links_lead_to_pages_of_the_site(site: Path) -> None:
    """The strict build of the site checks all links; here those are checked that are pointed elsewhere."""
    assert "](recipe.md)" in (site / "index.md").read_text()
    assert "](../../lints/bipolar-weights-widened.md)" in (site / "recipes/digits-cnv-fixed/README.md").read_text()
    assert "](../recipes/digits-cnv/README.md)" in (site / "how-to/accuracy.md").read_text()
