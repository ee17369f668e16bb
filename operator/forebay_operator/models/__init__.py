"""Records and constants of the operator: no I/O, no framework."""
