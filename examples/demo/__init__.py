"""Demonstration: a legacy shop is moved to Capa, runs, loses a worker, and loses no order."""
