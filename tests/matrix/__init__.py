"""The matrix: every Airflow that README names runs every case, with a real scheduler, triggerer and API server."""
