"""What a model makes of responses that somebody wrote: how likely they are, and whether the real one wins."""
