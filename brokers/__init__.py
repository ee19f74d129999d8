"""Brokers perform calls: given a plan and a credential they talk to the world and return an outcome."""
