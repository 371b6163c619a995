"""What today's study makes of stored rows: which of them count.

`rows.py` says so of responses, rewards and losses, `results.py` of tuned models and evaluations.
"""

from preceptor.current.rows import ROW_TABLES, Current, current_fingerprints, register_current

__all__ = ["ROW_TABLES", "Current", "current_fingerprints", "register_current"]
