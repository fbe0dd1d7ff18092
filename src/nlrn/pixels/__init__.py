"""Pixels: arrays of any kind, colour, resizing, the noise in them, and how pictures are degraded for training."""
