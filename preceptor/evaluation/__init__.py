"""Benchmarks: answers of tuned models, the outcome of each answer, and scores."""

import warnings

# alpaca-eval imports pkg_resources, which prints a warning. setuptools is pinned below 81.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
