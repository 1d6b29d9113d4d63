"""Search: all pairs of codes within a Hamming distance, with a certificate of what may have been missed."""
