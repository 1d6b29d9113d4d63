"""What reads pixels: each module measures one kind of fact."""
