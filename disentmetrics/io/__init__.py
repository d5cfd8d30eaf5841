"""Tables of codes and labels: file formats, columns and their roles, labels as factors."""
