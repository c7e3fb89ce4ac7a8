"""Drains: move what waits in a broker of Celery's into the component that capa.toml names, when a fleet has moved.

broker (where the queues are) ──▶ survey (what waits there)
                              ──▶ mover (takes, publishes, removes) ──▶ counts
"""
