"""The console of this process."""
