"""The addresses of services, and the workers that a server knows."""
