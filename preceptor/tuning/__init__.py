"""Supervised fine-tuning: chosen responses in, a model folder with a manifest out."""
