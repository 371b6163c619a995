"""How well each base model already digests each response."""
