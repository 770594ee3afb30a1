"""The services that exist: registering them, and what is stored of each."""
