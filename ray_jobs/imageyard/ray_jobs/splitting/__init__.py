"""How samples are split: what belongs together, what is asked for, what is drawn, what is kept apart, what held."""
