"""Decides before a step starts whether it can be skipped: its inputs and its results are unchanged."""
