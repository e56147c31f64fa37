"""From clips to feature arrays: noisy copies, the cache, and the standardization of a split."""
