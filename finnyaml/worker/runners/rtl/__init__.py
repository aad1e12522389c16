"""The steps of the open RTL path, one module for each."""
