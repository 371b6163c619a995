"""Arena-Hard (arXiv 2406.11939): a judge's games against one baseline, and the win rates that follow."""

from typing import Literal

Version = Literal["v0.1", "v2.0"]
