"""People's ratings of models' outputs: the reader and the metrics."""
