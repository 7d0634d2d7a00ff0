"""What real browsers do with what we serve: rrweb's own player, and an extension."""
