"""Static rules over the graph of a build: what will go wrong, said before it does, without data.

`catalogue` lists the rules (light, for the command line); `graph.check` applies them (inside workers); `fix` proposes
the edit of the recipe that puts an exact repair in.
"""
