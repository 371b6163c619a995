"""What people said of models' outputs: reading their ratings, and the figures that follow."""
