"""What one client, or one service, may have at most, over all servers of the site."""
