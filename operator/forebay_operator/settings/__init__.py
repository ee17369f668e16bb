"""The operator's settings: `config` is the whole, the other modules are its parts."""
