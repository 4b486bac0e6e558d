"""Images: the same mathematics on images of clothes."""
