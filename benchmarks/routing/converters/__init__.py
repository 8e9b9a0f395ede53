"""Makers of the outcome tables, one a source: each reads a clone of the public repository that the source is."""
