"""All that is about a switchover of virtual IP addresses."""
