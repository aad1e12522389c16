"""Data sets by batch, from whatever `verify.data` names."""
