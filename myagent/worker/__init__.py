"""The process that runs an agent file: it needs the SDK alone.

Servers and the supervisor of its site dial it; such a connection is a link, on
which frames carry what `protocol` describes.
"""
