"""Scores and score cards: plain data that is printed, saved and read back."""
