"""Where a service is reached, and which of its workers a server knows."""
