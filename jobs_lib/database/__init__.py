"""The database: connection, transactions, statements, names, what rows may hold. It imports leaves
alone."""
