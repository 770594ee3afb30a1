"""Views of services for people and programs."""
