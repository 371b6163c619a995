"""Pairwise comparisons with a reference: the answers of each run, win rates, and length control."""
