"""What several pages show or say: charts, marks, words for metrics, the head of an evaluation."""
