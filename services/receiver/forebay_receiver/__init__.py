"""The receiver: takes webhooks, checks who sent them, stores them in JetStream, answers."""
