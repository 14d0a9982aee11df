"""Running the lake: Airflow as processes of this machine, the demonstration, its summary."""
