"""Finds, remembers and delivers alerts. `jobs/alerts.py` schedules them."""
