"""Methods, one per module. Every module in this folder is imported and its methods become available by name."""
