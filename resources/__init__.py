"""One configurable resource per engine or store."""
