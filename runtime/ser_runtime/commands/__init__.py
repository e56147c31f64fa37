"""What `ser-listen` does, once its arguments are understood."""
