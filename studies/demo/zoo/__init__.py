"""The miniature that `make demo` runs on: its tasks, its texts, and the tiny models trained on them."""
