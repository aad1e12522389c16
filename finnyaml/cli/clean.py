"""`finnyaml clean`: take back what builds wrote."""

from __future__ import annotations

from finnyaml.cli.arguments import RECIPE, Recipe


def clean(recipe: Recipe = RECIPE) -> None:
    """Remove what builds wrote beside the recipe.

    Also their records. Files that finnyaml did not write stay, and so does the store: the next build fills the folder
    again at once.
    """
    from finnyaml.engine import workspace
    from finnyaml.engine.inside import explained
    from finnyaml.recipe.load import load_recipe
    from finnyaml.text import counted, relative

    folder = load_recipe(recipe)[0].workspace
    with explained(folder):
        count = workspace.clean(folder)
    if not count:
        print(f"nothing of finnyaml's is in {relative(folder)}")
        return
    print(f"removed {counted(count, 'file')} from {relative(folder)}")
    if folder.is_dir():
        print("what finnyaml did not write is still there")
