"""Components of files on this machine."""
