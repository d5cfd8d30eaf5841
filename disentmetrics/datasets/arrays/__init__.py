"""Data sets of the user: arrays, image folders, Hugging Face data sets."""
