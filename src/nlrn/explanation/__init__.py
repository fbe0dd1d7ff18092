"""Where a network looks: the attention of single pixels, and pictures of it."""
