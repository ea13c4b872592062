"""A user's own data as one file: requests, columns, writing, the link that opens it."""
