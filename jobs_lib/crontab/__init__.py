"""Lines for a crontab, the crontab that is installed, and whether the two agree. It may import
`output` and below."""
