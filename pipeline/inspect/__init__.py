"""`python -m pipeline.inspect CORPUS`: browse the shards and the ledger of a built corpus in a web browser, on loopback."""
