"""What servers say their tools are, and what of it a person approved: digests, judgements, differences, lint."""
