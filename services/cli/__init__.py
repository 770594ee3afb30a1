"""The commands `manage.py services …`."""
