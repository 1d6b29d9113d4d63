"""Matching: which images are alike, measured once between all images of a dataset and kept in its index."""
