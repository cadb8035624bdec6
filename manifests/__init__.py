"""Manifests, presets and embedded samples: data only."""
