"""The messages of a link as JSON, and back. No I/O."""

from myagent.worker.codec.encoding import encode, encode_said
from myagent.worker.codec.from_server import decode_from_server
from myagent.worker.codec.from_worker import decode_from_worker, decode_said

__all__ = ["decode_from_server", "decode_from_worker", "decode_said", "encode", "encode_said"]
