"""Giving jobs to RQ or Celery; one module for each engine, loaded only where it is configured. It
may import the layers below it: not what runs a job, which the worker is handed.
"""
