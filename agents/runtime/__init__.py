"""What any process of the site needs."""
