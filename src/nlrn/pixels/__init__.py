"""Images as numbers: arrays of any kind, colour, resizing, noise, degradations."""
