"""Analyses of trained models, reproductions of published tables, and toys in closed form."""
