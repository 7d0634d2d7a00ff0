"""Where bytes live: one small protocol (`protocol.py`); Google Cloud Storage and a local directory behind it."""
