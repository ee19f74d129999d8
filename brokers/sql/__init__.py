"""SQL: one statement a call, classed before and held to it by the server; rows as typed JSON within bounds.

`kind` says what a person declares, `broker.SqlBroker` plans for every engine, and `postgres`, `mysql` and `sqlite`
perform.
"""
