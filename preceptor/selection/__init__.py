"""Which rows a base model is tuned on."""
