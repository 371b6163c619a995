"""What a study found: predictions held against what came out, and one page that says so."""
