"""Read files of rows. `read.py` gives the rows, `formats.py` turns a row into a conversation.

`unread.py` finds text in columns that the format does not read, so that no text is lost silently.
"""

from preceptor.records.opening import RecordsError, Row
from preceptor.records.read import read_records, records_identity

__all__ = ["RecordsError", "Row", "read_records", "records_identity"]
