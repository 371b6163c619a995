"""Measure which teacher a base model should learn from. This package does not depend on Dagster."""
