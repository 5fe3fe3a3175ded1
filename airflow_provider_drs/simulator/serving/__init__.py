"""How the simulator is served over HTTPS."""
