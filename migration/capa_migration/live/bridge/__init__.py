"""Bridges: move the messages of a topic of one component to a topic of another, while both are in use.

tables · ends ──▶ mover (one thread for each bridge) ──▶ carried (the message as it goes on) · known_ids (duplicates)
                     ▲
fleet (which bridges run now) ── status (how far they are)
"""
