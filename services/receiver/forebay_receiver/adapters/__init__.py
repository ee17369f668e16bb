"""What the receiver needs from outside: the store."""
