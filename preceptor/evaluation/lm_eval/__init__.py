"""Benchmarks of lm-eval on local files."""
