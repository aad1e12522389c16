"""The names that recipes are checked against, collected from the rooms that own them."""

from __future__ import annotations

from finnyaml import plugins
from finnyaml.bundle import names
from finnyaml.finn import settings
from finnyaml.lint.catalogue import rule_ids
from finnyaml.recipe.model import Vocabulary
from finnyaml.steps import open_rtl


def vocabulary() -> Vocabulary:
    """All names that are known here, those of plug-ins looked up anew."""
    plugins.look_again()
    return Vocabulary(
        lint_rules=rule_ids(),
        own_settings=open_rtl.STEPS,
        plugins={
            "steps": [*plugins.installed("steps"), *plugins.installed("repairs")],
            "metrics": plugins.installed("metrics"),
            "data_sources": plugins.installed("data_sources"),
        },
        bundle_files=names.OWN,
        bundle_reserved=(names.FACTS, *names.RESERVED),
        finn_words=settings.words(),
    )
