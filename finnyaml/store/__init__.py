"""The home of artifacts and traces: content-addressed, shared by all recipes of a user, safe against `kill -9`."""

from finnyaml.store.model import CACHE, Artifact, Entry, Trace
from finnyaml.store.objects import ObjectDamaged
from finnyaml.store.store import Store

__all__ = ["CACHE", "Artifact", "Entry", "ObjectDamaged", "Store", "Trace"]
