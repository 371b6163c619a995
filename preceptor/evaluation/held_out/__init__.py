"""Likelihoods of held-out responses: loss, perplexity, and ranking against random responses."""
