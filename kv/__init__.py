"""kv: an encrypted local vault through which AI coding agents use credentials without holding them."""

__version__ = "0.1.0"
