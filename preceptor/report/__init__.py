"""The report: compares predictions with results, and writes one HTML page."""
