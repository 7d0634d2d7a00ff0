"""Many recordings at once: finding them in folders and archives, and sending each exactly once."""
