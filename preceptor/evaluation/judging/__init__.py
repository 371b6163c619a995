"""Judges of benchmarks: questions about items, judgments that are kept, and how reliable a judge is."""
