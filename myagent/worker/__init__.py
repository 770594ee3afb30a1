"""The process that runs an agent file: it needs the SDK alone.

Servers and the supervisor of its site dial it; such a connection is a link, on
which frames carry what `protocol` describes.
"""

ORPHAN_AFTER_S = 60.0
"""A worker that has had no link for so long ends by itself, unless it was told otherwise."""
