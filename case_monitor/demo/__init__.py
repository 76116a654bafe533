"""The demo: scikit-learn's digits and three classifiers of them."""
