"""What each reward model thinks of each response."""
