"""Scripts of the peers and of the raw thread chains, each printing one JSON line."""
