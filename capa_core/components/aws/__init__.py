"""Drivers for the services of AWS."""
