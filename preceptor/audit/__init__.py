"""Traces a ranking, a checkpoint or a score back to the rows that made it, and hashes each step again."""
