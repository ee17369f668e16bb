"""The outside: NATS, and the files with the tokens."""
