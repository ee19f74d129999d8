"""The keeper: the one process that holds an unlocked vault, and performs every call itself."""
