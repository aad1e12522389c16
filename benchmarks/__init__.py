"""How long finnyaml takes, beside what people use today. `python -m benchmarks` prints it; nothing here is a test."""
