"""Forward passes. Imports only torch and transformers, so that it runs on a bare GPU machine."""
