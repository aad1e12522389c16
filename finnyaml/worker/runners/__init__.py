"""How each kind of task runs, inside a worker: one module for each, named by `finnyaml.kinds`."""
