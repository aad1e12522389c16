"""Where a step loses accuracy: in which transformation, which tensor, which place, and why. Runs in workers."""
