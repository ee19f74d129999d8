"""Releases: a value itself is given away, to a program (`runs`) or to the session's own shell (`handoffs`).

`releases` judges and asks; `command` is what a run is, `program`, `environment`, `tree` and `brought` what it is made
of; `nursery` is the keeper's end of the process that starts programs (`kv.runner` is the other).
"""
