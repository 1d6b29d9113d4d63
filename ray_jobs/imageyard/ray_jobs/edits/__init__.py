"""Steps that edit tags and captions in bulk: by whole piece, idempotent, each undone by taking it out of the recipe."""
