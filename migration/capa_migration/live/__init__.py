"""Support for the time in which original and adapters run side by side."""
