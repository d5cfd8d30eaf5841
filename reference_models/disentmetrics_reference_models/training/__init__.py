"""From a method and a data set to a trained run."""
