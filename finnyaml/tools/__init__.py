"""External tools: which there are, where they are, which step needs them, and what their logs say when they fail.

Standard library only, and no import of FINN: the plan asks these questions on its quick path.
"""
