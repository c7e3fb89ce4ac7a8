"""No engine: what is sent to it goes nowhere."""
