"""How the jobs and their queues are doing: incidents, alerts, the status page, metrics. It may
import features and below.
"""
