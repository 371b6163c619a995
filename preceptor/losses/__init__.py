"""Losses of each response under each untuned base model."""
