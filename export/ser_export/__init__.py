"""From a run folder to verified model files that describe themselves."""
