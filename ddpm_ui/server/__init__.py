"""The server: wire format, shared computations, plain routes, users' networks and uploads."""
