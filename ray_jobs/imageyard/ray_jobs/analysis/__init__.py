"""What tags and captions of a version say in sum: readers of versions and facts, which decide nothing."""
