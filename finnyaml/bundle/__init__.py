"""The deployment bundle: what a board needs to run an accelerator, and to prove that it is the one that was built."""
