"""Whether a step has nothing to do, told before it begins: all that it reads and wrote is as it left it."""
