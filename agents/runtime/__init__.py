"""What every process of the site needs."""
