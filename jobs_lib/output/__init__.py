"""What a terminal shows: tables, colours, lists, findings. It may import engines and below."""
