"""What decides: each module turns facts into one kind of decision, and never sees pixels."""
