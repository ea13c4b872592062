"""Webhook deliveries: the queue, endpoints, the dispatcher, signatures."""
