"""Arena-Hard (arXiv 2406.11939): a judge's games against a baseline, and win rates."""

from typing import Literal

Version = Literal["v0.1", "v2.0"]
