"""`finnyaml clean`: take back what builds wrote."""

from __future__ import annotations

import contextlib

from finnyaml.cli.arguments import RECIPE, Recipe, Variants


def clean(
    recipe: Recipe = RECIPE,
    variants: Variants = [],  # noqa: B006
) -> None:
    """Remove what builds wrote beside the recipe.

    Also their records. Files that finnyaml did not write stay, and so does the store: the next build fills the folder
    again at once. Of a recipe with a matrix, the workspaces of all variants go, also of those that it has no longer.
    """
    from finnyaml.api.table import FILE as TABLE
    from finnyaml.engine import workspace
    from finnyaml.engine.inside import explained
    from finnyaml.recipe.load import load_recipes
    from finnyaml.recipe.matrix import Wanted
    from finnyaml.recipe.trials import FILE as TRIALS
    from finnyaml.text import counted, relative

    recipes = [found for found, _ in load_recipes(recipe, wanted=Wanted(tuple(variants)))]
    folders = [found.workspace for found in recipes]
    if not variants:
        folders += workspace.former(recipes[0])
    folders.sort(key=lambda folder: len(folder.parts), reverse=True)  # what lies in another first
    count = 0
    for folder in folders:
        with explained(folder):
            count += workspace.clean(folder)
    if not variants:
        for name in (TABLE, TRIALS):
            with contextlib.suppress(OSError):
                (recipes[0].output / name).unlink()
                count += 1
    with contextlib.suppress(OSError):  # what held variants goes with the last of them, if nothing else is in it
        recipes[0].output.rmdir()
    place = folders[0] if len(folders) == 1 else recipes[0].output
    if not count:
        print(f"nothing of finnyaml's is in {relative(place)}")
        return
    print(f"removed {counted(count, 'file')} from {relative(place)}")
    if place.is_dir():
        print("what finnyaml did not write is still there")
