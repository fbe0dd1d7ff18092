"""What cameras and files do to pictures, for training: one degradation a file, and ``photograph`` that mixes them.

All work on batches [B, 3, P, P] of patches in [0, 1], draw from one generator, and repeat for an equal seed.
"""
