"""The schema of a study, and the loader of study files."""
