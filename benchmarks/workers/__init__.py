"""Scripts that benchmarks run as processes of their own: floors, and the peers.

They import nothing of ours, so that a peer's environment can run them and a floor starts as fast as it can. Libraries are imported
where they are used, since no environment has all of them.
"""
