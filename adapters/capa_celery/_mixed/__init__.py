"""Mixed fleets: with `wire = "celery"`, Celery's own workers and clients share queues, results, control and events.

Celery's and kombu's own code publishes messages, sends commands and events and stores results, on the addresses of the
components. Only what a worker receives is Capa's, with leases: see `capa_core.blocks.pubsub.in_layout`.
"""
