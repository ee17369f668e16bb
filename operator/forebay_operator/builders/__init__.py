"""Pure functions from endpoints and settings to Kubernetes objects."""
