"""The control room: what operators see and do in a browser, under `/ops`; and the way in, `/` and `/sign-in`."""
