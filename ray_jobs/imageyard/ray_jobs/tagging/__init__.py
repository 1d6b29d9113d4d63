"""From scores to tags: pure functions over tags and their scores, whatever measured them."""
