"""The vault: one file of sealed records (`FORMAT.md`), and `session.Vault`, through which everyone else uses it."""
