"""One module per artifact, in pipeline order."""
