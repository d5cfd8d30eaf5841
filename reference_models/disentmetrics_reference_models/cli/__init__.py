"""Commands of the reference trainers."""
