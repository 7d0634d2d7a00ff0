"""The sub-commands of `tapedeck` that talk to a deck over HTTP, one module each."""
