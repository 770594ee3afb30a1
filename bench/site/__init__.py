"""A whole site under a mixed load: see `bench.site.__main__`."""
