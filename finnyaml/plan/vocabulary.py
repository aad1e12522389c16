"""The names that recipes are checked against, collected from the rooms that own them."""

from __future__ import annotations

from finnyaml.bundle import names
from finnyaml.lint.catalogue import RULES
from finnyaml.recipe.vocabulary import Vocabulary
from finnyaml.steps import open_rtl


def vocabulary() -> Vocabulary:
    """All names that are known here."""
    return Vocabulary(
        lint_rules=RULES,
        own_settings=open_rtl.STEPS,
        bundle_files=names.OWN,
        bundle_reserved=(names.FACTS, *names.RESERVED),
    )
