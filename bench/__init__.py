"""Benchmarks: what the promises cost, measured side by side. See `docs/benchmarks.md`."""
