"""What runs inside worker processes: the sandbox, the recorder, and the runners of each kind of task."""
