"""Checking the DNS records of users' domains, and what follows for each domain's status."""
