"""How far judges can be trusted: with each other, with themselves, with people; and paired comparisons."""
