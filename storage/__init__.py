"""Where bytes live: one small protocol, Google Cloud Storage and a local directory behind it."""
