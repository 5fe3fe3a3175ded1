"""Apache Airflow provider for the Data Replication Service (DRS)."""

__version__ = "0.1.0"
