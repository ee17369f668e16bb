"""What several rooms work with: a partition's tenure, streams' time and ages, endpoints, tasks."""
