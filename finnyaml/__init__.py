"""finnyaml: declarative, incremental, proven FPGA accelerator builds with FINN.

`finnyaml.load` opens a recipe; docs/python-api.md shows what to do with it. The names of the Python API are imported
when they are first used: a build with nothing to do needs none of them.
"""

__version__ = "0.1.0"

__all__ = [  # noqa: F405
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

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than all else here
if TYPE_CHECKING:
    from finnyaml.api import *  # noqa: F403
else:

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from finnyaml import api

        return getattr(api, name)
