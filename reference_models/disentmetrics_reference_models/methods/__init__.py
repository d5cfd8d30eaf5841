"""Methods, one per file; a file placed here is a method."""
