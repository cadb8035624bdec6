"""`python -m pipeline.compare A B --on CORPUS`: where two sets of rules differ on a built corpus, from its stored measures."""
