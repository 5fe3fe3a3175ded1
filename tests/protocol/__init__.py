"""Tests of the pure layer: no network, no Airflow, no clock."""
