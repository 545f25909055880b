"""Child processes under supervision: started apart from the engine, bounded, and never left behind.

`children.py` is the engine's side. `spawner.py`, `keeper.py`, `cage.py`, `box.py`, `tree.py` and `kernel_calls.py` are a small
program of its own, which runs between the engine and each child; they use the standard library only and start in milliseconds.
"""
