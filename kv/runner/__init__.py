"""The runner: starts a program with the secrets it was lent, relays what it says with the secrets taken out, cleans up.

Who is who: the *nursery* (`main`) waits, warm, and forks a *runner* (`run`) for each run; the runner starts the
*child*, which is the program. The keeper has judged before and gives the order; the client, which is whoever the agent
wrote, hands over its streams and holds the terminal.

Rules of this package
- Nothing here decides whether a program may run, or with which secrets: that has been done, and recorded.
- A value leaves the runner by the child's own set-up alone. No message to client or keeper has a place for one.
- No threads: one loop a run (`relay`), and it never waits for one side alone. What others wrote is bounded.
"""
