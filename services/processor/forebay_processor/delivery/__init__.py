"""From EVENTS to destinations: order, limits, RETRY, dead letters."""
