"""Training: corpora -> features -> models -> run folders."""
