"""finnyaml for Python programs and notebooks: load a recipe, plan it, build it, use what came out.

The command line stands on this; `import finnyaml` gives the same names. Errors are `FinnyamlError`s with the messages
of the command line. Nothing here prints, unless `progress` is asked for, and nothing ends the program.
"""

from finnyaml.api.plan import Plan, PlannedTask
from finnyaml.api.progress import Progress
from finnyaml.api.recipe import Recipe, load
from finnyaml.api.result import BuildFailed, Loss, Measurement, Result
from finnyaml.api.table import Row, Table
from finnyaml.api.variants import Plans, Variants
from finnyaml.errors import ExitCode, FinnyamlError, Problem, RecipeError, StepFailed, StoreError, ToolMissing, Where

__all__ = [
    "BuildFailed",
    "ExitCode",
    "FinnyamlError",
    "Loss",
    "Measurement",
    "Plan",
    "PlannedTask",
    "Plans",
    "Problem",
    "Progress",
    "Recipe",
    "RecipeError",
    "Result",
    "Row",
    "StepFailed",
    "StoreError",
    "Table",
    "ToolMissing",
    "Variants",
    "Where",
    "load",
]
