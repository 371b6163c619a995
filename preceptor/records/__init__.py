"""How a file is read: `read.py` gives its rows, `formats.py` makes a row a conversation.

What no column of the row's format reads is found by `unread.py`, so that no text is lost in silence.
"""

from preceptor.records.opening import RecordsError, Row
from preceptor.records.read import read_records, records_identity

__all__ = ["RecordsError", "Row", "read_records", "records_identity"]
