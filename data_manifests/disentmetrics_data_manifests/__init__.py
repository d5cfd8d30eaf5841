"""One TOML file for each data set: files, checksums, factors, layout, licence, citation."""
