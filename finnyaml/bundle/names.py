"""The names that every bundle has, which a recipe cannot give to files of its own."""

from __future__ import annotations

FACTS = "bundle.json"
"""All that is known of it, as data."""
OWN = ("README.md", "requirements.txt", "requirements-emulate.txt", "deploy.sh", "LICENSES.md")
"""What finnyaml's own templates make in every bundle."""
SETTINGS = "driver/settings.json"
"""What its template makes only where FINN has not made it."""
KEPT = "templates"
"""The folder with the recipe's own templates."""
RESERVED = ("accelerator", "graphs", "golden", "driver", "bitfile", KEPT)
"""The folders of every bundle."""
