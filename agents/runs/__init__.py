"""One run: its way through a worker, and the workers."""
