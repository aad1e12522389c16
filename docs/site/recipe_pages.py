"""Pages of the recipes that come with finnyaml: their README, and below it the recipe itself."""

from pathlib import Path


def folders(root: Path) -> list[Path]:
    """The folders of all recipes."""
    return sorted(readme.parent for readme in root.glob("recipes/*/README.md"))


def page(folder: Path) -> str:
    """The page of one folder."""
    text = (folder / "README.md").read_text("utf-8")
    for recipe in sorted(folder.glob("*.yaml")):
        text += f"\n## {recipe.name}\n\n```yaml\n{recipe.read_text('utf-8')}```\n"
    return text
