"""How far samples are from the data, and how far chance alone would put them."""
