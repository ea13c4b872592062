"""Lines for a crontab, and the crontab that is installed. It may import `output` and below."""
