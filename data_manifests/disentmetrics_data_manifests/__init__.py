"""One TOML file per data set: files, checksums, factors, layout, licence, citation."""
