"""The words: frozen records, policy, protocol, errors, the catalogues of methods and metrics. Imports nothing outer."""
