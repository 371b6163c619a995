"""Forward passes. Imports torch and transformers only, so that it runs on a bare GPU box."""
