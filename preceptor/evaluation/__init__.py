"""Benchmarks: what tuned models answer, whether it is right or preferred, and the scores that follow."""

import warnings

# alpaca-eval imports pkg_resources, which says so in everybody's terminal; setuptools is pinned below 81.
warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
