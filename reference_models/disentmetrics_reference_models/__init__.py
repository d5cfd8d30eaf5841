"""Reference trainers of the field's methods, one file a method."""
