"""Custom data sets from arrays, image folders and Hugging Face data sets."""
