"""HTTP and WebSocket connections of our own server: what a peer may send, how much and how slowly.

`requests.py` reads requests, `sockets.py` what comes after an upgrade: uvicorn's protocols, with
bounds. `heads.py` has those of a request's headers, `admission.py` who is let in at all.
"""
