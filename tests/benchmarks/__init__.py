"""What the provider costs and how fast it is, beside what users would pick instead; ``make bench``."""
