"""From source files to one schema of instructions."""
