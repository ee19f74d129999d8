"""HTTP: canonical plans, pinned destinations, credentials added by auth schemes, answers decoded within bounds.

`broker.HttpBroker` is the broker, `target.connection_target` what a person's `--host` becomes.
"""
