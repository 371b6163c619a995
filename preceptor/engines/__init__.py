"""Engines that run in a process of their own, which gives all its memory back when it ends."""
