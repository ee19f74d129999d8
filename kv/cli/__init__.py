"""The command line for people: one module a noun, `tui` for the voice, `options` for what every verb takes.

Rules of this directory
- A verb reads its arguments, asks its person, sends one act, and says how it went. What may happen is decided in
  the keeper; nothing here guards anything but the person's own terminal.
- A value or passphrase is never an argument, never printed but by `kv get`, and read only after `kv.harden.shelter`.
- An error message never quotes an argument: it may be a value pasted in the wrong place.
"""
