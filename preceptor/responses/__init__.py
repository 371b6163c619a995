"""What each teacher answered."""
