"""Mixtures: a manifest with `[[mixture]]` parts, which are built corpora, becomes one corpus.

1. `corpora.open_corpora` finds the parts and refuses what cannot be mixed.
2. `records.collect`, a task per partition: which records a part kept, from its ledger, beside the signatures that it stored.
3. `duplicates.run`: near duplicates across parts, by those signatures (`pipeline.dedup`). Text is not read.
4. `tokens.count`, a task per partition, where a tokenizer is named: how many tokens each document has.
5. `selection`: every document has a seeded key; a part's documents are taken in the order of their keys until its budget is met.
6. `shuffle`: chosen documents go to ranges of a second seeded key (`scatter`), and every range becomes a piece of a shard (`gather`).

`run.run` has them in order. Nothing depends on the number of workers, and no task holds more than a partition, a range, or what is known
of the documents that have duplicates.
"""
