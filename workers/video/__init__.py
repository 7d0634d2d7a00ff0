"""The tab video: waiting for it, and finding out what it is."""
