"""From RAW to EVENTS: one message for each item, each stored once."""
