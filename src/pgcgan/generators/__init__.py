"""The families of generators, and what they share."""
