"""Interactive SQL: a session over a study's lake, and its prompt."""
