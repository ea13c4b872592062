"""The world outside but for the database: mail, HTTP, storage, DNS. It imports leaves alone."""
