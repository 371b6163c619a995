"""Pairwise comparisons with a reference: win rates and length control."""
