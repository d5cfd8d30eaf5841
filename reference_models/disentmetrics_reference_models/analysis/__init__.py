"""Evaluation of trained models, reproduction of published tables, and variational bias in linear models."""
