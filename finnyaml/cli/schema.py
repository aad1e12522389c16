"""`finnyaml schema`: the JSON Schema of recipes, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from finnyaml.cli.arguments import StoreOption
from finnyaml.cli.console import save, tell


def schema(
    write: Annotated[Path | None, typer.Option("--write", metavar="FILE", help="Write it to this file.")] = None,
    installed: Annotated[
        bool,
        typer.Option(
            "--installed",
            help="Complete it with what the installed FINN has: steps, options, outputs, boards.",
        ),
    ] = False,
    site: Annotated[bool, typer.Option("--site", help="The schema of site files instead.")] = False,
    store: StoreOption = None,
) -> None:
    """Print the JSON Schema of recipes, for editors.

    With it, editors complete and check recipes as they are written (draft 2020-12).

    VS Code (with the extension "YAML" of Red Hat), Neovim and others that use
    yaml-language-server: run `finnyaml schema --write recipe.schema.json`
    and put this line first in the recipe:

        # yaml-language-server: $schema=recipe.schema.json

    JetBrains: Settings, Languages & Frameworks, Schemas and DTDs, JSON Schema Mappings.
    """
    if installed:
        from finnyaml.engine.completion import completed
        from finnyaml.engine.installed import open_catalog

        text = json.dumps(completed(open_catalog(store, tell)), indent=2) + "\n"
    else:
        from finnyaml.recipe.schema import schema_path

        text = schema_path("site.schema.json" if site else "recipe.schema.json").read_text("utf-8")
    if write is None:
        print(text, end="")
        return
    save(text, write)
    what = "site file" if site else "recipe"
    print(f"wrote {write}; first line of a {what} beside it:\n# yaml-language-server: $schema={write.name}")
