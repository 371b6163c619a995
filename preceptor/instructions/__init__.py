"""Turn source files into one table of instructions."""
