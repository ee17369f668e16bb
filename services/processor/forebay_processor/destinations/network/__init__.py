"""How connections of destinations are opened: names, addresses that are allowed, TLS."""
