"""One small plug-in for each door of finnyaml."""
