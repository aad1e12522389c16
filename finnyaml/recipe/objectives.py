"""What must hold in `objectives` and `search`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from finnyaml.errors import Problem
from finnyaml.recipe.model import Recipe
from finnyaml.text import did_you_mean, quoted

SOURCES: Mapping[str, tuple[str, ...]] = {
    "fps": ("rtl.simulate", "rtlsim", "prices", "estimate"),
    "latency": ("rtl.simulate", "estimate"),
    "lut": ("bitfile", "vivado", "yosys", "prices", "estimate"),
    "ff": ("bitfile", "vivado", "yosys"),
    "bram": ("bitfile", "vivado", "yosys", "prices", "estimate"),
    "uram": ("bitfile", "vivado", "yosys", "estimate"),
    "dsp": ("bitfile", "vivado", "yosys", "prices", "estimate"),
    "fifo_bits": ("rtl.size_fifos",),
    "power": ("vivado",),
}
"""Who says the figures, the most real one first. Accuracy is said by verification points: sources are ids of steps."""


def check_objectives(recipe: Recipe) -> Iterator[Problem]:
    """What is wrong with them, as far as the schema cannot say it."""
    for one in recipe.objectives:
        at = ("objectives", one.name)
        known = SOURCES.get(one.name)
        if one.source is not None and known is not None and one.source not in known:
            message = f"{one.name} does not come from {quoted(one.source)}"
            yield Problem(message, recipe.at((*at, "from")), did_you_mean(one.source, known, else_="it comes from"))
        if one.min is not None and one.max is not None and one.min > one.max:
            yield Problem(f"no {one.name} is at least {one.min:g} and at most {one.max:g}", recipe.at((*at, "min")))
        if one.name == "accuracy" and recipe.verify is None:
            hint = "give the recipe data: `verify: {data: ...}`"
            yield Problem("nothing measures accuracy in this recipe", recipe.at(at), hint)
    if recipe.search is None:
        return
    if not recipe.lists:
        hint = "give `matrix` variables with lists of values"
        yield Problem("there is nothing to search: the matrix has no lists", recipe.at(("search",)), hint)
    names = [one.name for one in recipe.objectives]
    if not names:
        hint = "for example `objectives: {fps: maximize, lut: minimize}`"
        yield Problem("a search needs objectives", recipe.at(("search",)), hint)
    for index, name in enumerate(recipe.search.objectives):
        if names and name not in names:
            where = recipe.at(("search", "objectives", index))
            yield Problem(f"{quoted(name)} is not among the objectives", where, did_you_mean(name, names))
