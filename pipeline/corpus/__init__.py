"""A built corpus, read again: its ledger and shards, single records of them, and what a record was before it was cleaned.

`open_corpus` opens one, `find_record` finds a record by its id, `read_content` has its text, raw and cleaned, `diff_texts` compares two.
"""
