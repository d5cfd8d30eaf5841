"""Published files: manifests, downloads, verification, layouts."""
