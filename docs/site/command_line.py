"""The page of the command line, made by typer from the application."""

import re

import typer
from typer.cli import get_docs_for_click

from finnyaml.cli.app import app


def page() -> str:
    """The page in Markdown: a section for each command."""
    command = typer.main.get_command(app)
    context = typer.Context(command, info_name="finnyaml")
    text = get_docs_for_click(obj=command, ctx=context, name="finnyaml", title="Commands")
    # What typer lists under "Commands" becomes links.
    path = "finnyaml"
    lines = []
    for line in text.splitlines():
        if heading := re.match(r"#+ `(.+)`", line):
            path = heading[1].replace(" ", "-")
        lines.append(re.sub(r"^\* `([a-z]+)`", rf"* [`\1`](#{path}-\1)", line))
    return "\n".join(lines) + "\n"
