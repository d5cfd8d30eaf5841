"""Published data sets: manifests, downloads, verification and file layouts."""
