"""What every rule stands on: find files, read them, splice edits, prove them, write them, take them back."""
