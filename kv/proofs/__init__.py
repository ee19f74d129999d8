"""Evidence of the human: what a proof is, and how many wrong ones are borne.

- `totp`        a code from the person's app: works once, for 90 s
- `pin`         a number the person knows
- `passphrase`  a MAC that only who opened the vault's slot can make; the passphrase itself is never sent
- `throttle`    how often a wrong one may be tried
- `qr`          the enrolment code on a terminal

Every check returns something true or raises; none returns a no that a caller could forget. TOTP and PIN show that
a person is present (tier T2); they open nothing, and whoever has the vault's keys can check every PIN there is.

A try is counted before it is judged, so that a keeper killed in between has not given one away:

    throttle = throttle.charge(clock)         # raises proof-frozen; store it
    counter = totp.check(…, left=throttle.left)   # raises proof-wrong, proof-used
    throttle = Throttle()                     # the proof was right; store it, and the counter
"""
