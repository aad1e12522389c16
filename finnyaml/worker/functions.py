"""Functions that are named as text, so that nothing imports them before they are called."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any


def function_of(reference: str) -> Callable[..., Any]:
    """The function that `module:function` names. Imports its module."""
    module, _, function = reference.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return found
