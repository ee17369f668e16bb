"""Which partitions of which shards are this process', and their work from taking to giving back."""
