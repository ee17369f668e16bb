"""The HTTP API for reading: what the `forebay` command shows, for consoles and scripts."""
