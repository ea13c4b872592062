"""Notices to users: kinds, templates, rendering, the queue, reminders, opting out."""
