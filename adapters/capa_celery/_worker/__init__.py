"""The worker: Celery's command line, life cycle, tracer and signals around Capa's own intake and pools."""
