"""What several jobs share. It may import the runner and what is below it."""
