"""The client commands: files in every wrapper, the client's patience, and the commands against a real deck."""
