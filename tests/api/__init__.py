"""The HTTP contract, one file an endpoint, through a real server and real Postgres."""
