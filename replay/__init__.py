"""What a recording is: events, normalizing, the tape. Pure: no I/O, no clock, no SQL."""
