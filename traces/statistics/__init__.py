"""How often operations ran, how long they took and what they used, hour by hour."""
