"""A real Keystone, the identity service behind IAM's API, for the tests."""
