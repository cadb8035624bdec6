"""Measures of other projects, as these define them: what the presets `swallow-v1`, `fineweb2-ja`, `llmjp-v1` and `hojichar` judge."""
