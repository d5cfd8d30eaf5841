"""Statistics of a representation, each computed once and shared by metrics."""
