"""What Prometheus is told: this process's counters, and how the site's services stand."""
