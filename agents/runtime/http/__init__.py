"""HTTP and WebSocket connections of our own server, with bounds on size, rate and duration.

`requests.py` reads requests and `sockets.py` reads frames after an upgrade: they are uvicorn's
protocols with bounds. `heads.py` limits request headers, `admission.py` limits connections,
`safe_headers.py` is what browsers are told with every response.
"""
