"""Japanese tokenizers: trained on what the pipeline kept, evaluated, exported, and applied to make token shards."""
