"""Training of a method on a data set, and the trained run."""
