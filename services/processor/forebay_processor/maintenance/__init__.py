"""What runs beside the work: room in the streams, webhooks that wait long, a NATS that is away."""
