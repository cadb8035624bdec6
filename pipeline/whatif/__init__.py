"""`python -m pipeline.whatif CORPUS --set rules.X.at_least=0.25`: what other bounds would keep, from stored measures."""
