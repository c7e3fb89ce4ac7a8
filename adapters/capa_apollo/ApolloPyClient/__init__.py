"""In place of `ApolloPyClient`, which has its client in a module of the same name."""
