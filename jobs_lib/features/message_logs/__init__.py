"""What is kept of messages once their rows are deleted: totals and header snapshots."""
