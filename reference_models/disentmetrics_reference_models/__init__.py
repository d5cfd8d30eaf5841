"""Reference implementations of VAE-based methods for disentanglement, one file per method."""
