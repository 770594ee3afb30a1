"""The registered services: registering them, and the stored data of each."""
