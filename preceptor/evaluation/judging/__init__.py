"""Judges asked in words: prompt files, questions, verdicts that are kept, and how reliable they are."""
