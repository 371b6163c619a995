"""Dagster resources: one per engine or store."""
