"""A library that edits other programs' configuration, and takes every byte back. It has never heard of secrets."""
