"""What the site is made of: known weaknesses of it, its licences, and the locks that pin it."""
