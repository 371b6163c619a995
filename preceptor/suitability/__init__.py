"""The suitability of each teacher for each base: metrics, their intervals and ranks."""
