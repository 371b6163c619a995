"""Judges of benchmarks: questions about items, stored judgments, and the reliability of judges."""
