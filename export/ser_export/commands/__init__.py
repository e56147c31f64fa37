"""A module for each command of `ser-export`."""
