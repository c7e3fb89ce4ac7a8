"""Everything around the rewrite: scan, plan, apply, undo, report, and a trial run of an unmodified application."""
