"""The ways in to a run: by hand or a crontab line, or a worker; and what keeps all of them from
running."""
