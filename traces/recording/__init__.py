"""How the entries of the log become traces."""
