"""Forward: data become noise, in closed form and step by step."""
