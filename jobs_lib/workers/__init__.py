"""Giving jobs to RQ or Celery: a module for each engine, loaded only where it is configured."""
