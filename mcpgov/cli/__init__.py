"""The command line: one file a verb, no rules of its own. app.py hands each verb what it needs."""
