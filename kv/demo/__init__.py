"""`kv demo`: the main job on a throw-away vault, with nothing but this machine."""
