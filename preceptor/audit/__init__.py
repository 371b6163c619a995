"""From a ranking, a checkpoint or a score back to the very rows that made it, each step hashed again."""
