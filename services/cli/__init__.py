"""The command door: `manage.py services …`."""
