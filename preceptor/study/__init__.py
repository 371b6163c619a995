"""What a study declares, and how its file is read."""
