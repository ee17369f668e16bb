"""What talks to the outside for all parts: settings, logs, metrics, tables, NATS JetStream."""
