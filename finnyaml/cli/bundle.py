"""`finnyaml bundle`: what is done with a bundle after it was built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from finnyaml.cli.arguments import Json
from finnyaml.cli.console import show

bundle_app = typer.Typer(no_args_is_help=True)


@bundle_app.callback()
def bundle() -> None:
    """Work on a deployment bundle that was built."""


@bundle_app.command("attach")
def bundle_attach(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder of the bundle.")],
    bitfile: Annotated[
        Path,
        typer.Option("--bitfile", metavar="FILE", help="What Vivado made: a .bit (Zynq) or .xclbin (Alveo)."),
    ],
    hwh: Annotated[
        Path | None,
        typer.Option("--hwh", metavar="FILE", help="The .hwh of a .bit (default: the one beside it, of its name)."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Complete a bundle with a bitfile from elsewhere.

    It is checked first: whether it is whole, for this part, with the blocks that the contract names, and for about the
    clock that the recipe asks for. Then bundle.json, README.md and the archive beside the folder are renewed. Where a
    check fails nothing is changed, and the exit code is 2.
    """
    from finnyaml.bundle.attach import attach

    data = attach(folder, bitfile, hwh)
    show(data if as_json else None, _told(data))


def _told(data: dict[str, Any]) -> Iterator[str]:
    target, clock = data["target"], data["target"]["clock"]
    at = f" at {clock['achieved_mhz']:g} MHz" if clock["achieved_mhz"] else ""
    yield f"{data['name']} has its bitfile now: {target['board'] or target['platform']} ({target['part']}){at}"
    for item in data["missing"]:
        yield f"  still missing: {item['what']} ({item['why']})"
