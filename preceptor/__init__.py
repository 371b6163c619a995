"""Which teacher should a base model learn from: the domain, free of any orchestrator."""
