"""HTTP to DRS and IAM: requests, responses, the token."""
