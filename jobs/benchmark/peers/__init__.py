"""The other engines: each module does the whole work of the rules by itself, `python -m jobs.benchmark.peers.NAME`."""
