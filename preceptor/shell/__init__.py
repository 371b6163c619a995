"""SQL for people: a session over a study's lake, and the prompt in front of it."""
