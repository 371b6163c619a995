"""Which stored rows count under the study's current settings.

`rows.py` covers responses, rewards and losses. `results.py` covers tuned models and evaluations.
"""

from preceptor.current.rows import ROW_TABLES, Current, current_fingerprints, register_current

__all__ = ["ROW_TABLES", "Current", "current_fingerprints", "register_current"]
