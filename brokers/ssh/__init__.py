"""Calls over SSH: one command or one file a call, on a server whose host keys a person pinned.

What is read and judged (`kind`, `command`, `profiles`, `hostkeys`, …) is pure and loads no driver; what dials does.
"""
