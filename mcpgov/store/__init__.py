"""All persistence: what the other rooms keep or count, each store behind the Protocol of the room it serves.

Only app.py imports from here. No rule of the gateway lives in this package; SQL and Redis live nowhere else.
"""
