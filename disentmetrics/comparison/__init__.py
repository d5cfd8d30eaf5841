"""Score cards and encoders compared: with each other, with a baseline, with themselves."""
