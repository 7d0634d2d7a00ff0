"""The HTTP service and the `tapedeck` command."""
