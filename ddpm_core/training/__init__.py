"""How a network learns: the loop, what surrounds it in a shell, guidance that is learned."""
