"""Drivers for RabbitMQ."""
