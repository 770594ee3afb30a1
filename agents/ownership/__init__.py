"""Who may write a session: the leases of servers, and sessions taken, adopted and given up."""
