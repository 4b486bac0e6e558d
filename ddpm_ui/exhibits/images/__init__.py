"""Images: the same mathematics on pictures of clothes."""
