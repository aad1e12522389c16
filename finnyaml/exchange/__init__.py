"""To recipes, and from them: what people have already, and what those without finnyaml can run."""
