"""Judges behind an endpoint: prompt files, the questions made from them, and how answers are read."""
