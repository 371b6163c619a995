"""Measures of judges: agreement with each other and with people, self-consistency, position bias."""
