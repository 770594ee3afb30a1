"""What services are described with, under the name that people know."""
