"""The names of other rooms that a recipe may refer to, or must not take. They arrive here as an argument."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Vocabulary:
    """What a recipe is checked against, beside itself.

    lint_rules: ids of all rules; None where nobody knows them, so that none is refused.
    own_settings: steps whose `with:` holds settings of their own instead of FINN's sections.
    plugins: names of plug-ins, by the group that a recipe names them from; None where nobody knows them.
    bundle_files: files that a template of the user's may replace, but no entry of `bundle.files` may write.
    bundle_reserved: a file or folder of every bundle that only finnyaml writes.
    """

    lint_rules: Collection[str] | None = None
    own_settings: Collection[str] = ()
    plugins: Mapping[str, Collection[str]] | None = None
    bundle_files: Collection[str] = ()
    bundle_reserved: Collection[str] = ()


ANY = Vocabulary()
"""Refuses no name."""
