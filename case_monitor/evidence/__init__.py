"""What a person opens: pictures, reports, tables, and the MLflow run that holds them."""
