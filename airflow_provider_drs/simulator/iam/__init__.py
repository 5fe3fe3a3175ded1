"""The simulated IAM: what Keystone v3 serves to a client that logs in, without sockets."""
