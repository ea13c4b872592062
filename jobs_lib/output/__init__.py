"""What a terminal shows: tables, colours, lists, the example configuration. It may import
engines and below."""
