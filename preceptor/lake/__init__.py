"""Atomic, versioned, resumable tables."""
