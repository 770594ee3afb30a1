"""Where services are reached, and which of their workers a server knows."""
