"""The page of a notebook: its text and its code. What its cells show is not kept in the repository."""

import json
from pathlib import Path


def page(path: Path) -> str:
    """The page in Markdown."""
    return "\n\n".join(map(_cell, json.loads(path.read_text("utf-8"))["cells"])) + "\n"


def _cell(cell: dict[str, object]) -> str:
    text = "".join(cell["source"])  # type: ignore[arg-type]
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"
