"""What people and programs are shown of traces."""
