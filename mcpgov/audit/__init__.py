"""Stage 5, write it down: what is recorded (record), what is never recorded in clear (redact), what is seen of an
answer (watch), how it becomes durable (writer), the stage itself (ledger), and how it is read again (reader).
"""
