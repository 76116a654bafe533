"""The flows, and the steps they are made of: fetch, measure, judge, store, publish, decide."""
