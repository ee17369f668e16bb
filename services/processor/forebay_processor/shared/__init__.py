"""What several rooms work with: partitions, the streams' time and ages, endpoints, tasks."""
