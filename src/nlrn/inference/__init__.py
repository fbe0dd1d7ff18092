"""Running a network over whole images: fused, in tiles, in memory that is known beforehand."""
