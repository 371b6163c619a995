"""Benchmarks by lm-eval, on local files: which, on what rows, what a model answers, and the score."""
