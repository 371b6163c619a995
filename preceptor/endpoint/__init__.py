"""Teachers and judges behind OpenAI-compatible endpoints."""
