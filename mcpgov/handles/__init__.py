"""Ids that an upstream gives and a client presents: sessions, tasks, events. Each is good for one caller."""
