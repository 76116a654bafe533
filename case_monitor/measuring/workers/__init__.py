"""Where shards of a split are worked on."""
