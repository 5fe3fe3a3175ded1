"""Comparisons of source and target."""
