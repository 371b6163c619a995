"""Compatibility-Adjusted Reward, its intervals and its ranks."""
