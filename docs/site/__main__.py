"""Gathers the pages of the site: those in docs/, some other files, and those made from declarations.

Links in all of them hold in the repository, so they work on GitHub, too; here they are pointed at the site's pages.

    python docs/site FOLDER
"""

import os
import posixpath
import re
import shutil
import sys
from pathlib import Path

import command_line
import metrics
import notebook
import recipe_keys
import recipe_pages
import steps

ROOT = Path(__file__).parents[2]
DECLARED = {
    "docs/reference/recipe-keys.md": recipe_keys.page,
    "docs/reference/steps.md": steps.page,
    "docs/reference/metrics.md": metrics.page,
    "docs/reference/command-line.md": command_line.page,
}
ELSEWHERE = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "finnyaml/bundle/templates/README.md",
)

BESIDE = ("*.svg", "*.csv")
"""Pictures and data that pages show."""

_LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
"""The address of a link to a file."""


def pages() -> dict[str, str]:
    """All pages by the path that they have, or would have, in the repository."""
    written = [*(ROOT / "docs").rglob("*.md"), *(ROOT / path for path in ELSEWHERE)]
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in written}
    texts |= {f"recipes/{folder.name}/README.md": recipe_pages.page(folder) for folder in recipe_pages.folders(ROOT)}
    texts |= {path.relative_to(ROOT).as_posix(): notebook.page(path) for path in (ROOT / "docs").glob("*.ipynb")}
    return texts | {path: page() for path, page in DECLARED.items()}


def on_site(path: str) -> str:
    """Where a file of the repository is on the site. A recipe is shown on the page of its folder."""
    if path.startswith("recipes/"):
        return "/".join([*path.split("/")[:2], "README.md"])
    return "index.md" if path == "README.md" else path.removeprefix("docs/").replace(".ipynb", ".md")


def linked(text: str, path: str) -> str:
    """A page's text with its links pointed at the site's pages."""
    folder, here = posixpath.dirname(path), posixpath.dirname(on_site(path))

    def site(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        return os.path.relpath(on_site(target), here or ".")

    return _LINK.sub(site, text)


def main(folder: Path) -> None:
    """Write all pages, their pictures and data, and the style sheet below a folder, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in pages().items():
        target = folder / on_site(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(linked(text, path), "utf-8")
    for file in [path for kind in BESIDE for path in (ROOT / "docs").rglob(kind)]:
        target = folder / on_site(file.relative_to(ROOT).as_posix())
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target)
    shutil.copy(Path(__file__).with_name("style.css"), folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
