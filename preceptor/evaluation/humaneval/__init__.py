"""HumanEval (Chen et al. 2021, arXiv 2107.03374): functions that a model writes, checked by unit tests."""
