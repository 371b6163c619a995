"""Rewards of each response by each reward model."""
