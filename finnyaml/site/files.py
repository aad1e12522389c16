"""Which site files apply; imports next to nothing, for the quick path.

$FINNYAML_SITE                     alone, where it is set (empty: no site file at all)
finnyaml.site.yaml                 of the project: beside the recipe, or in the nearest folder above it
~/.config/finnyaml/site.yaml       of the user
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

NAME = "finnyaml.site.yaml"


def found(folder: str, environ: Mapping[str, str]) -> Iterator[str]:
    """The site files that apply to a project in `folder`, the nearest first, as absolute paths."""
    named = environ.get("FINNYAML_SITE")
    if named is not None:
        if named:
            yield os.path.abspath(os.path.expanduser(named))
        return
    above = os.path.abspath(folder)
    while not os.path.lexists(place := os.path.join(above, NAME)) and above != os.path.dirname(above):
        above = os.path.dirname(above)
    user = os.path.join(environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "finnyaml", "site.yaml")
    yield from (path for path in (place, user) if os.path.lexists(path))
