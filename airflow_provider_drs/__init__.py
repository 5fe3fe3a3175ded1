"""Apache Airflow provider for the Data Replication Service (DRS)."""

__version__ = "0.2.0"
