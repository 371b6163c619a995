"""What somebody should be told: found, remembered, delivered. `jobs/alerts.py` says when."""
