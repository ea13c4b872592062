"""What expires with a warning: aliases, unverified destinations, mail held over a limit."""
