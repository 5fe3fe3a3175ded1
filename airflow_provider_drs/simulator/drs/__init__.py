"""What the simulated DRS does, without sockets."""
