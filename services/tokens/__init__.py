"""API tokens: issued, revoked, and recognised; and the logins that clients come with."""
