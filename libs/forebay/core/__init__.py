"""The formats, names and rules that all parts share: pure functions and data, no I/O."""
