"""What ``run_demo.py`` is made of."""
