"""Which services there are: registering them, and what is kept of each."""
