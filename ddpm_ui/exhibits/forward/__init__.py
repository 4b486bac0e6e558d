"""Forward: data melt into noise, in closed form and step by step."""
