"""What people are shown of services."""
