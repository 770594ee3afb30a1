"""The processes of `serve`: a server alone, or several with one port and a parent."""
