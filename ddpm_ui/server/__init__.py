"""What answers the browser: the wire format, computations that many read, plain routes, people's networks and files."""
