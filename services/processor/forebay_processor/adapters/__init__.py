"""What the processor needs from NATS beyond pulling and publishing."""
