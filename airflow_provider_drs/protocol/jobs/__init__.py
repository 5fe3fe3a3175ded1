"""All that is about jobs: their status, their lag, and what changes them."""
