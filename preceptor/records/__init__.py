"""Rows of a file or dataset as dictionaries, each with its place, whatever the file's format."""

from preceptor.records.read import read_records, records_identity
from preceptor.records.row import RecordsError, Row

__all__ = ["RecordsError", "Row", "read_records", "records_identity"]
