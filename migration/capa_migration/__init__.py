"""The migration tool: scan, plan, apply, undo, report, and a trial run of an unmodified application."""
