"""What runs an accelerator: boards through PYNQ, FINN's own driver, the emulator."""
