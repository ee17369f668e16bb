"""Splitting, delivering, waiting: what the processor does with what JetStream hands it."""
