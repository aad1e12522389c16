"""Settings that contradict each other or the steps: what FINN would say an hour into the build, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from finnyaml.errors import Problem
from finnyaml.finn import aliases
from finnyaml.finn.catalog import Catalog
from finnyaml.finn.settings import FinnConfig
from finnyaml.kinds import KINDS
from finnyaml.plan.placed import Placed
from finnyaml.recipe.model import Recipe
from finnyaml.steps import open_rtl
from finnyaml.text import either
from finnyaml.tools.needs import FINN_PLUS

SIZE_FIFOS = ("step_set_fifo_depths", "step_generate_hardware")
"""FINN's steps that put FIFOs between layers."""

SHELL = "shell_flow_type"


def problems(
    recipe: Recipe, catalog: Catalog, placed: Sequence[Placed], base: FinnConfig, configs: Mapping[str, FinnConfig]
) -> Iterator[Problem]:
    """What cannot go together, of the recipe as a whole and of entries with settings of their own."""
    yield from _shell(recipe, catalog, base)
    yield from _outputs(recipe, catalog, placed)
    for item in placed:
        if item.step in SIZE_FIFOS or item.uses in SIZE_FIFOS:
            yield from _depths(recipe, catalog, item, configs.get(item.id, base))


def _shell(recipe: Recipe, catalog: Catalog, config: FinnConfig) -> Iterator[Problem]:
    """FINN has boards for PYNQ and Alveo cards in two tables, and makes a shell for the boards of one of them each."""
    board, shell = config.values.get("board"), config.values.get(SHELL)
    fits = catalog.shells.get(str(board))
    if fits is None or shell is None or shell not in catalog.shells.values() or shell == fits:
        return
    message = f"a {board} cannot have the shell {shell}: {catalog} makes {fits} for it"
    others = [name for name, of in catalog.shells.items() if of == shell]
    hint = f"write `shell: {fits}`; {shell} is for {either(others)}"
    yield Problem(message, recipe.at(config.pointers[SHELL]), hint)


def _depths(recipe: Recipe, catalog: Catalog, item: Placed, config: FinnConfig) -> Iterator[Problem]:
    """finn-plus refuses to set depths that nobody gives; the other FINN looks for them in the folding file."""
    values = config.values
    if catalog.distribution != FINN_PLUS or values.get("auto_fifo_depths", True) or "fifo_config_file" in values:
        return
    message = f"`fifo: {{auto: false}}` leaves the depths to the recipe, which gives none: {item.id} would stop"
    hint = "give them (`fifo: {file: fifo_sizing.json}` or `depths: ...`), or leave `auto` out"
    yield Problem(message, recipe.at(config.pointers.get("auto_fifo_depths", ("fifo", "auto"))), hint)


def _outputs(recipe: Recipe, catalog: Catalog, placed: Sequence[Placed]) -> Iterator[Problem]:
    """Each output is made by steps that look whether it is asked for; a step that is code may make any."""
    if any(KINDS[item.kind].opaque or KINDS[item.kind].users_code for item in placed):
        return
    steps = {name for item in placed for name in (item.step, item.uses)}
    for index, output in enumerate(recipe.settings.outputs or ()):
        makers = catalog.outputs.get(str(output), ())
        ours = [step for name in makers if name in open_rtl.OUTPUTS for step in open_rtl.SUBSTITUTES[name]]
        if makers and steps.isdisjoint((*makers, *ours)):
            message = f"`outputs` has {output}, and no step of this recipe makes it"
            hint = f"add {either(map(aliases.short, makers))} to the steps, or leave it out"
            yield Problem(message, recipe.at(("outputs", index)), hint, "warning")
