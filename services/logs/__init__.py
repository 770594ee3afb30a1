"""The logs of services: their files, reading them, keeping them bounded."""
