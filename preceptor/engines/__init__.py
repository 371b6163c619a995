"""Engines in separate processes, which free all their memory when they end."""
