"""What `mysql_agent.py` reads a database with."""
