"""The configuration: option types, sections, files, table names, secrets. It may import database,
ports and leaves."""
