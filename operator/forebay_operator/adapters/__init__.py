"""What the operator talks with: the API server, pods and NATS, each behind a port."""
